require 'time'
require 'securerandom'
require 'standin/jobs'
require 'standin/migrations'
require 'standin/people'
require 'standin/sizes'

# `rails runner CODE` and `rails console`: the code is evaluated as Ruby, among the few
# constants below that an operator's one-liner names.
module Standin
  module Runner
    def self.run(code)
      eval(File.file?(code.to_s) ? File.read(code) : code.to_s, TOPLEVEL_BINDING.dup, 'runner') # rubocop:disable Security/Eval
    rescue StandardError, ScriptError => e
      warn "#{Release.root}/runner: #{e.message} (#{e.class})"
      exit 1
    end

    def self.console
      scope = TOPLEVEL_BINDING.dup
      puts "Loading #{ENV.fetch('RAILS_ENV', 'development')} environment (stand-in)"
      $stdin.each_line { |line| answer(line, scope) }
    end

    def self.answer(line, scope)
      exit if %w[exit quit].include?(line.strip)
      puts "=> #{eval(line, scope).inspect}" # rubocop:disable Security/Eval
    rescue StandardError, ScriptError => e
      puts "#{e.message} (#{e.class})"
    end
  end
end

# ActiveRecord's first words over one table.
class StandinRecord
  class << self
    attr_accessor :table

    def count = Standin::Store.count("SELECT count(*) FROM #{table}")
    def all = Standin::Store.rows("SELECT * FROM #{table} ORDER BY id").map { |row| new(row) }
    def first = all.first
    def find(id) = find_by(id: id) || raise("Couldn't find #{name} with 'id'=#{id}")

    def find_by(values)
      tests = values.keys.each_with_index.map { |key, index| "#{key} = $#{index + 1}" }.join(' AND ')
      row = Standin::Store.rows("SELECT * FROM #{table} WHERE #{tests} LIMIT 1", values.values).first
      row && new(row)
    end

    def find_by!(values) = find_by(values) || raise("Couldn't find #{name}")
  end

  attr_reader :row

  def initialize(row)
    @row = row
  end

  def id = row['id'].to_i

  def update!(values)
    Standin::Store.update(self.class.table, id, values)
    @row = self.class.find_by(id: id).row
    true
  end
  alias update update!

  def method_missing(name, *args)
    return update!({ name.to_s.delete_suffix('=') => args.first }) if name.end_with?('=')

    row.key?(name.to_s) ? row[name.to_s] : super
  end

  def respond_to_missing?(name, all = false) = row.key?(name.to_s.delete_suffix('=')) || super
end

class User < StandinRecord
  self.table = 'users'
  def account = Account.find_by(id: row['account_id'])
  def disable_two_factor! = Standin::People.disable_two_factor(row)
  def confirm = Standin::People.confirm(row)
  def approve! = update!(approved: true)
end

class Account < StandinRecord
  self.table = 'accounts'
  def self.find_local(name) = Standin::People.account(name)&.then { |row| new(row) }
  def user = User.find_by(account_id: id)
  def suspended? = row['suspended_at'] || row['suspended'] == 't' ? true : false

  # Flags to 2.8, times since; to 3.2 the user was locked as well.
  if Standin::Release.since?('2.4.0')
    def suspend!
      user&.update!(disabled: true) if Standin::Release.before?('3.3.0')
      update!(suspended: true, suspended_at: Time.now)
    end

    def unsuspend!
      user&.update!(disabled: false) if Standin::Release.before?('3.3.0')
      update!(suspended: false, suspended_at: nil)
    end
  end

  if Standin::Release.since?('2.7.0')
    def silence! = update!(silenced: true, silenced_at: Time.now)
    def unsilence! = update!(silenced: false, silenced_at: nil)
  end
end

module Admin
  SuspensionWorker = Object.new
  def SuspensionWorker.perform_async(*args) = Standin::Jobs.enqueue('Admin::SuspensionWorker', args, 'pull')

  if Standin::Release.since?('3.3.0')
    UnsuspensionWorker = Object.new
    def UnsuspensionWorker.perform_async(*args) = Standin::Jobs.enqueue('Admin::UnsuspensionWorker', args, 'pull')
  end
end

class Status < StandinRecord
  self.table = 'statuses'
end

class Setting
  def self.method_missing(name, *values)
    name.end_with?('=') ? Standin::Settings.write(name.to_s.delete_suffix('='), values.first) : Standin::Settings.read(name.to_s)
  end

  def self.respond_to_missing?(*) = true
end

module Mastodon
  module Version
    def self.to_s = Standin::Release.to_s
  end
end

module Rails
  Cache = Object.new
  def Cache.clear = Standin::Store.delete_keys(Standin::Store.cache_pattern)
  def self.cache = Cache
  def self.env = ENV.fetch('RAILS_ENV', 'development')
end

module Sidekiq
  # One list of jobs.
  class Queue
    attr_reader :name

    def initialize(name = 'default')
      @name = name
    end

    def size = Standin::Store.redis.llen(Standin::Store.key("queue:#{name}"))
    def clear = Standin::Store.redis.del(Standin::Store.key("queue:#{name}"))
    def self.all = Standin::Store.redis.smembers(Standin::Store.key('queues')).sort.map { |name| new(name) }
  end

  # A sorted set of jobs.
  class SortedSet
    def initialize(name)
      @key = Standin::Store.key(name)
    end

    def size = Standin::Store.redis.zcard(@key)
    def clear = Standin::Store.redis.del(@key)

    def retry_all
      Standin::Store.redis.zrange(@key, 0, -1).each do |job|
        Standin::Store.redis.lpush(Standin::Store.key("queue:#{JSON.parse(job)['queue']}"), job) if Standin::Store.redis.zrem(@key, job)
      end
    end
  end

  class RetrySet < SortedSet
    def initialize = super('retry')
  end

  class DeadSet < SortedSet
    def initialize = super('dead')
  end

  class ScheduledSet < SortedSet
    def initialize = super('schedule')
  end

  class ProcessSet
    def size = Standin::Store.redis.scard(Standin::Store.key('processes'))
  end
end

# Scheduler::VacuumScheduler and its kin, as far as this release has them.
module Scheduler
  Marker = Struct.new(:name) do
    def new = self
    def perform(*args) = Standin::Jobs.perform(name, args)
    def perform_async(*args) = Standin::Jobs.enqueue(name, args, Standin::Release.since?('3.3.0') ? 'scheduler' : 'default')
  end

  # A nested name such as Scheduler::Trends::RefreshScheduler.
  module Nested
    def const_missing(name)
      full = "#{self.name}::#{name}"
      return Marker.new(full) if Standin::Jobs.scheduler_names.include?(full)
      return const_set(name, Module.new { extend Nested }) if Standin::Jobs.scheduler_names.any? { |known| known.start_with?("#{full}::") }

      raise NameError, "uninitialized constant #{full}"
    end
  end
  extend Nested
end
