require 'json'
require 'pg'
require 'securerandom'
require 'socket'
require 'time'
require 'standin/jobs'
require 'standin/store'

module Standin
  # A Sidekiq process with Sidekiq's own Redis layout: `processes`, a hash for each process with
  # `info`, `beat`, `busy` and `quiet`, lists `queue:*`, sorted sets `retry`, `schedule` and `dead`.
  # A queue whose name is in the set `standin:paused` is listened to but left alone.
  class Sidekiq
    # The real one beats every 5 or 10 s; more often here, so that tests wait less.
    BEAT_SECONDS = 1
    EXPIRY_SECONDS = 60
    MAJORS = { '1.3.0' => '5.2.10', '3.5.0' => '6.5.12', '4.4.0' => '7.3.9', '4.5.0' => '8.0.9' }.freeze

    def initialize(words)
      @queues = queues_of(words)
      @concurrency = (words.each_cons(2).find { |flag, _| %w[-c --concurrency].include?(flag) } || [nil, ENV.fetch('MAX_THREADS', '5')])[1].to_i
      @identity = "#{Socket.gethostname}:#{Process.pid}:#{SecureRandom.hex(6)}"
      @started_at = Time.now.to_f
      @busy = 0
      @quiet = false
      @stopping = false
    end

    def run
      listen_for_signals
      title
      Store.postgres
      Store.redis.ping
      puts "Booted Sidekiq #{release}, queues: #{@queues.uniq.join(', ')}"
      beater = Thread.new { loop { beat && sleep(BEAT_SECONDS) } }
      work until @stopping
      beater.kill
      leave
    end

    # `-q name`, `-q name,weight`, `-qname`
    def queues_of(words)
      named = words.each_with_index.filter_map do |word, index|
        next words[index + 1] if %w[-q --queue].include?(word)

        word[2..] if word.match?(/\A-q\w/)
      end
      named.empty? ? Jobs.queues : named.map { |name| name.split(',').first }
    end

    def release = MAJORS.select { |first, _| Release.since?(first) }.values.last

    def title = $0 = "sidekiq #{release} mastodon [#{@busy} of #{@concurrency} busy]#{' stopping' if @quiet}"

    def listen_for_signals
      trap('TSTP') { @quiet = true }
      %w[TERM INT].each { |name| trap(name) { @stopping = true } }
    end

    def beat
      key = Store.key(@identity)
      redis.multi do |transaction|
        transaction.sadd(Store.key('processes'), @identity)
        transaction.hset(key, 'info', info, 'concurrency', @concurrency, 'busy', @busy, 'beat', Time.now.to_f, 'quiet', @quiet.to_s, 'rss', 100_000, 'rtt_us', 100)
        transaction.expire(key, EXPIRY_SECONDS)
      end
      obey(redis.rpop(Store.key("#{@identity}-signals")))
      true
    rescue Redis::BaseError => e
      warn e.message
      true
    end

    # A second connection: the first blocks while it waits for jobs.
    def redis = @redis ||= Redis.new(Store.redis_address)

    def info
      JSON.generate(hostname: Socket.gethostname, started_at: @started_at, pid: Process.pid, tag: 'mastodon',
                    concurrency: @concurrency, queues: @queues.uniq, labels: [], identity: @identity, version: release)
    end

    # The web page of Sidekiq sends TSTP and TERM through Redis.
    def obey(signal)
      @quiet = true if signal == 'TSTP'
      @stopping = true if signal == 'TERM'
    end

    def work
      title
      move_due
      queues = @quiet ? [] : @queues.uniq - Store.redis.smembers('standin:paused')
      return sleep(0.5) if queues.empty?

      _, text = Store.redis.brpop(*queues.map { |name| Store.key("queue:#{name}") }, timeout: 1)
      perform(JSON.parse(text)) if text
    rescue Redis::BaseError => e
      warn e.message
      sleep 1
    end

    # Retries and scheduled jobs whose time has come.
    def move_due
      %w[retry schedule].each do |name|
        Store.redis.zrangebyscore(Store.key(name), '-inf', Time.now.to_f, limit: [0, 50]).each do |text|
          next unless Store.redis.zrem(Store.key(name), text)

          Store.redis.lpush(Store.key("queue:#{JSON.parse(text).fetch('queue', 'default')}"), text)
        end
      end
    end

    def perform(job)
      @busy = 1
      redis.hset(work_key, 'thread', JSON.generate(queue: job['queue'], payload: JSON.generate(job), run_at: Time.now.to_i))
      beat
      title
      Jobs.perform(job['class'], job['args'] || [])
      count('processed')
    rescue StandardError => e
      count('failed')
      try_again(job, e)
    ensure
      @busy = 0
      redis.del(work_key)
    end

    # Sidekiq 6.5 (Mastodon 3.5) renamed it.
    def work_key = Store.key("#{@identity}:#{Release.since?('3.5.0') ? 'work' : 'workers'}")

    def try_again(job, error)
      job.merge!('error_message' => error.message, 'error_class' => error.class.name, 'failed_at' => Time.now.to_f, 'retry_count' => job['retry_count'].to_i + 1)
      Store.redis.zadd(Store.key('retry'), Time.now.to_f + 60, JSON.generate(job))
    end

    def count(what)
      Store.redis.incr(Store.key("stat:#{what}"))
      Store.redis.incr(Store.key("stat:#{what}:#{Time.now.utc.strftime('%Y-%m-%d')}"))
    end

    def leave
      redis.srem(Store.key('processes'), @identity)
      redis.del(Store.key(@identity))
      puts 'Bye!'
    end
  end
end
