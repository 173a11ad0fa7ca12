require 'json'
require 'securerandom'
require 'time'
require 'standin/release'
require 'standin/store'

module Standin
  # What Sidekiq would run. A scheduler only leaves a mark, so that a test sees that it ran.
  module Jobs
    # Scheduler name => [first release, first release without it].
    SCHEDULERS = {
      'Subscriptions' => %w[1.3.3 3.0.0], 'MediaCleanup' => %w[1.4.1 4.0.0], 'FeedCleanup' => %w[1.4.1 4.0.0],
      'DoorkeeperCleanup' => %w[1.4.7 4.0.0], 'UserCleanup' => %w[1.5.0], 'SubscriptionsCleanup' => %w[1.6.0 3.0.0],
      'IpCleanup' => %w[1.6.1], 'Email' => %w[2.2.0 4.0.0], 'BackupCleanup' => %w[2.3.0 4.0.0],
      'Pghero' => %w[2.6.0], 'ScheduledStatuses' => %w[2.7.0], 'TrendingTags' => %w[3.0.0 3.5.0],
      'InstanceRefresh' => %w[3.3.0], 'FollowRecommendations' => %w[3.4.0], 'Trends::Refresh' => %w[3.5.0],
      'Trends::ReviewNotifications' => %w[3.5.0], 'AccountsStatusesCleanup' => %w[3.5.0], 'Indexing' => %w[3.5.3],
      'Vacuum' => %w[4.0.0], 'SuspendedUserCleanup' => %w[4.0.0], 'SoftwareUpdateCheck' => %w[4.2.0],
      'AutoCloseRegistrations' => %w[4.3.0], 'Fasp::FollowRecommendationCleanup' => %w[4.4.0],
      'CollectionItemCleanup' => %w[4.6.0]
    }.freeze

    def self.scheduler_names
      SCHEDULERS.select { |_, span| Release.has?(*span) }.keys.map { |name| "Scheduler::#{name}Scheduler" }
    end

    # Sets the Redis key `standin:ran:<class>` to the time, and counts `standin:runs:<class>`.
    def self.perform(name, args = [])
      raise NameError, "uninitialized constant #{name}" if name.start_with?('Scheduler::') && !scheduler_names.include?(name)
      raise "#{name} failed as it was asked to" if name.end_with?('FailingWorker')

      sleep(args.first.to_f) if name == 'SleepingWorker'
      end_follows(args.first) if name == 'Admin::SuspensionWorker' && Release.before?('3.3.0')
      Store.redis.set("standin:ran:#{name}", Time.now.utc.iso8601(3))
      Store.redis.incr("standin:runs:#{name}")
      true
    end

    # To 3.2 a suspension deleted at once what hung on the account; here its follows stand for all of that.
    def self.end_follows(account_id) = Store.delete_from('follows', 'account_id = $1 OR target_account_id = $1', [account_id])

    # @return [Array<String>] the queues of config/sidekiq.yml in this era
    def self.queues
      return %w[default mailers pull push] if Release.before?('3.3.0')
      return %w[default push mailers pull scheduler] if Release.before?('4.0.0')

      %w[default push ingress mailers pull scheduler] + (Release.since?('4.4.0') ? %w[fasp] : [])
    end

    def self.enqueue(name, args, queue)
      job = { class: name, args: args, queue: queue, jid: SecureRandom.hex(12), retry: true,
              created_at: Time.now.to_f, enqueued_at: Time.now.to_f }
      Store.redis.sadd(Store.key('queues'), queue)
      Store.redis.lpush(Store.key("queue:#{queue}"), JSON.generate(job))
    end
  end
end
