import type { VersionRange } from '../version.js'
import { operation, rails } from './rows.js'

/** A job that the scheduler of Sidekiq starts by itself. */
export interface ScheduledJob extends VersionRange {
  /** How an operator names it. */
  name: string
  /** Its Ruby class. */
  className: string
  /** Completes "it …". */
  does: string
}

const job = (name: string, className: string, since: string, before: string | undefined, does: string) =>
  ({ name, className: `Scheduler::${className}`, since, before, does }) satisfies ScheduledJob

/** Source: config/sidekiq.yml and app/workers/scheduler of each release named. */
export const SCHEDULED_JOBS: readonly ScheduledJob[] = [
  job('subscriptions', 'SubscriptionsScheduler', '1.3.3', '3.0.0', 'renews OStatus subscriptions'),
  job('subscriptions-cleanup', 'SubscriptionsCleanupScheduler', '1.6.0', '3.0.0', 'ends unneeded subscriptions'),
  job('media-cleanup', 'MediaCleanupScheduler', '1.4.1', '4.0.0', 'deletes uploads that no post uses'),
  job('feed-cleanup', 'FeedCleanupScheduler', '1.4.1', '4.0.0', 'deletes the feeds of people who are away'),
  job('doorkeeper-cleanup', 'DoorkeeperCleanupScheduler', '1.4.7', '4.0.0', 'deletes expired tokens'),
  job('user-cleanup', 'UserCleanupScheduler', '1.5.0', undefined, 'deletes sign-ups that were never confirmed'),
  job('ip-cleanup', 'IpCleanupScheduler', '1.6.1', undefined, 'deletes old IP addresses'),
  job('email', 'EmailScheduler', '2.2.0', '4.0.0', 'sends digest mails'),
  job('backup-cleanup', 'BackupCleanupScheduler', '2.3.0', '4.0.0', "deletes people's old archives"),
  job('pghero', 'PgheroScheduler', '2.6.0', undefined, 'records table sizes'),
  job('scheduled-statuses', 'ScheduledStatusesScheduler', '2.7.0', undefined, 'publishes scheduled posts'),
  job('trending-tags', 'TrendingTagsScheduler', '3.0.0', '3.5.0', 'updates trending hashtags'),
  job('instance-refresh', 'InstanceRefreshScheduler', '3.3.0', undefined, 'refreshes the view of known servers'),
  job('follow-recommendations', 'FollowRecommendationsScheduler', '3.4.0', undefined, 'updates follow suggestions'),
  job('trends-refresh', 'Trends::RefreshScheduler', '3.5.0', undefined, 'updates trends'),
  job('trends-review', 'Trends::ReviewNotificationsScheduler', '3.5.0', undefined, 'tells staff of trends to review'),
  job(
    'accounts-statuses-cleanup',
    'AccountsStatusesCleanupScheduler',
    '3.5.0',
    undefined,
    'deletes posts whose authors asked for it',
  ),
  job('indexing', 'IndexingScheduler', '3.5.3', undefined, 'sends changes to the search index'),
  job('vacuum', 'VacuumScheduler', '4.0.0', undefined, 'deletes what is no longer needed'),
  job(
    'suspended-user-cleanup',
    'SuspendedUserCleanupScheduler',
    '4.0.0',
    undefined,
    'deletes suspended accounts for good',
  ),
  job('software-update-check', 'SoftwareUpdateCheckScheduler', '4.2.0', undefined, 'asks for newer releases'),
  job(
    'auto-close-registrations',
    'AutoCloseRegistrationsScheduler',
    '4.3.0',
    undefined,
    'closes registrations nobody watches over',
  ),
  job(
    'fasp-cleanup',
    'Fasp::FollowRecommendationCleanupScheduler',
    '4.4.0',
    undefined,
    'deletes old suggestions of providers',
  ),
  job('collection-item-cleanup', 'CollectionItemCleanupScheduler', '4.6.0', undefined, 'deletes old collection items'),
]

export interface ScheduledJobParams {
  /** One of SCHEDULED_JOBS: it becomes Ruby code. */
  job: ScheduledJob
}

export const jobOperations = {
  'jobs.run': operation<ScheduledJobParams>('run a job of the scheduler', [
    {
      since: '1.3.0',
      before: '1.3.3',
      lacking: 'the scheduler came with 1.3.3',
      instead: 'Run `rake mastodon:daily`.',
      source: 'config/sidekiq.yml @v1.3.3',
    },
    {
      since: '1.3.3',
      argv: ({ job }) => rails('runner', `${job.className}.new.perform`),
      boots: true,
      note: 'Prints nothing; an exception ends it with exit code 1.',
      source: 'config/sidekiq.yml @v1.3.3',
    },
  ]),
}
