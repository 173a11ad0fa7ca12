require 'standin/actors'
require 'standin/boot'
require 'standin/assets'
require 'standin/jobs'
require 'standin/migrations'
require 'standin/people'
require 'standin/seeds'
require 'standin/secrets'
require 'standin/databases'
require 'standin/sizes'

module Standin
  # The rake tasks of each era. A task that this release lacks ends in rake's own words and exit 1.
  module Rake
    Task = Struct.new(:first, :gone, :boot, :action)
    TASKS = {}

    # @param boot :whole when the task loads the application, :outline when the Rakefile is enough
    def self.task(name, first: '1.0.0', gone: nil, boot: :whole, &action)
      TASKS[name] = Task.new(first, gone, boot, action)
    end

    def self.run(words, program)
      Boot.outline!
      assignments, names = words.reject { |word| word.start_with?('-') }.partition { |word| word.match?(/\A\w+=/) }
      assignments.each { |word| word.split('=', 2).then { |name, value| ENV[name] = value } }
      names.each { |name| perform(name, program) }
    end

    def self.perform(name, program)
      task = TASKS[name]
      return unknown(name, program) unless task && Release.has?(task.first, task.gone)

      Boot.whole! if task.boot == :whole
      task.action.call
    rescue StandardError => e
      aborted(program, "#{e.instance_of?(RuntimeError) ? '' : "#{e.class}: "}#{e.message}\n\nTasks: TOP => #{name}")
    end

    # Rails 7.1 (Mastodon 4.3) calls itself bin/rails.
    def self.aborted(program, text)
      name = program == 'rails' && Release.since?('4.3.0') ? 'bin/rails' : program
      $stdout.flush
      warn "#{name} aborted!\n#{text}\n(See full trace by running task with --trace)"
      exit 1
    end

    def self.unknown(name, program)
      aborted(program, "Don't know how to build task '#{name}' (See the list of available tasks with `#{program} --tasks`)\n")
    end

    # Secrets
    task('secret', boot: :outline) { puts Secrets.hex }
    task('mastodon:webpush:generate_vapid_key', first: '1.5.0', boot: :outline) do
      Boot.whole! if Release.before?('3.5.0')
      Secrets.print_vapid
    end
    task('db:encryption:init', boot: :outline, first: '4.3.0') { Secrets.print_encryption }

    # Database
    task('db:migrate') { Migrations.migrate }
    task('db:migrate:status') { Migrations.status }
    task('db:version') { puts "Current version: #{Migrations.current}" }
    task('db:abort_if_pending_migrations') { Migrations.abort_if_pending }
    task('db:pre_migration_check', first: '3.4.0') { Migrations.check_before }
    task('db:seed') do
      Migrations.abort_if_pending
      Seeds.plant
    end
    task('db:create') { Databases.create }
    task('db:drop') { Databases.drop }
    task('db:schema:load') { Databases.load_schema }
    task('db:setup') { Databases.setup }
    task('db:reset') { Databases.reset }
    task('db:prepare', first: '3.4.0') { Databases.prepare }
    task('db:migrate:setup', first: '1.4.1') { Databases.prepare }

    # Assets
    task('assets:precompile') { Assets.compile }
    task('assets:clobber') { Assets.clobber }
    task('assets:generate_static_pages', first: '2.0.0') { Assets.static_pages }
    task('webpacker:compile', first: '1.4.1', gone: '4.4.0') { Assets.compile }
    task('tmp:clear', boot: :outline) { nil }

    # Everyday tasks, to 2.4 by rake; the names that lost their work stayed as empty tasks until 2.5.0.
    task('mastodon:daily', first: '1.2.0', gone: '2.5.0') { nil }
    %w[push:refresh media:clear feeds:clear users:clear emails:digest].each do |name|
      task("mastodon:#{name}", gone: '2.5.0') { nil }
    end
    task('mastodon:media:remove_remote', gone: '2.6.0') { OldMedia.remove_remote }
    task('mastodon:media:remove_silenced', gone: '2.6.0') { OldMedia.remove_silenced }
    task('mastodon:media:redownload_avatars', first: '1.5.0', gone: '2.6.0') { nil }
    task('mastodon:media:set_unknown', gone: '2.6.0') { nil }
    task('mastodon:feeds:clear_all', gone: '2.6.0') { Store.delete_keys(Store.key('feed:*')) }
    task('mastodon:feeds:build', first: '1.5.0', gone: '2.6.0') { Feeds.build_all }
    task('mastodon:push:clear', gone: '2.6.0') { Store.delete_from('subscriptions', 'true') }
    task('mastodon:settings:open_registrations', gone: '2.6.0') { Settings.write('open_registrations', 'true') }
    task('mastodon:settings:close_registrations', gone: '2.6.0') { Settings.write('open_registrations', 'false') }
    task('mastodon:maintenance:update_counter_caches', gone: '2.6.0') { Counters.recount_all }
    task('mastodon:maintenance:add_static_avatars', gone: '2.6.0') { nil }
    task('mastodon:maintenance:prepare_for_foreign_keys', first: '1.4.2', gone: '2.6.0') { nil }
    task('mastodon:maintenance:purge_removed_accounts', first: '2.2.0', gone: '2.6.0') { nil }
    task('mastodon:maintenance:remove_deprecated_preview_cards', first: '1.6.0', gone: '2.6.0') { nil }
    task('sidekiq_unique_jobs:delete_all_locks', first: '4.3.0') { Store.delete_keys('uniquejobs:*') }

    # Staff
    task('mastodon:make_admin', gone: '2.6.0') { OldStaff.make_admin }
    task('mastodon:make_mod', first: '2.1.0', gone: '2.6.0') { OldStaff.make_moderator }
    task('mastodon:revoke_staff', first: '2.1.0', gone: '2.6.0') { OldStaff.revoke }
    task('mastodon:confirm_email', gone: '2.6.0') { OldStaff.confirm_email }
    task('mastodon:add_user', first: '1.5.0', gone: '2.6.0') { abort 'add_user asks its questions on a terminal only' }
    task('mastodon:users:admins', gone: '2.6.0') { OldStaff.list_admins }
    task('standin:keys') { Actors.make_keys }
    task('mastodon:setup', first: '2.3.0') { abort 'The set-up wizard asks its questions on a terminal only' }
  end

  # make_admin and its kin of 1.4.1 to 2.5.2: who is not found is said, and the exit is 0.
  module OldStaff
    def self.make_admin
      change('is now an admin. \o/') { |user| People.update(user, admin: true, moderator: false) }
    end

    def self.make_moderator
      change('is now a moderator \o/') { |user| People.update(user, admin: false, moderator: true) }
    end

    def self.revoke
      change('is no longer admin or moderator.') { |user| People.update(user, admin: false, moderator: false) }
    end

    def self.change(words)
      name = ENV.fetch('USERNAME')
      user = People.by_exact_username(name)
      return not_found(name) unless user

      yield user
      puts "Congrats! #{name} #{words}"
      puts "Navigate to https://#{ENV.fetch('LOCAL_DOMAIN', 'localhost')}/admin/settings to get started" if words.include?('an admin')
    end

    def self.not_found(name)
      puts "User could not be found; please make sure an #{Release.since?('2.0.0') ? 'account' : 'Account'} with the `#{name}` username exists."
    end

    def self.confirm_email
      email = ENV.fetch('USER_EMAIL')
      user = People.by_email(email)
      abort "#{email} not found" unless user
      People.confirm(user)
      puts "#{email} confirmed"
    end

    def self.list_admins
      puts 'Admin user emails:'
      puts Store.rows('SELECT email FROM users WHERE admin ORDER BY id').map { |row| row['email'] }
    end
  end

  # media:remove_remote, to 2.5.2: silent before 2.5.
  module OldMedia
    def self.remove_remote
      days = ENV.fetch('NUM_DAYS', '7').to_i
      number, = Media.remove(days)
      puts "Scheduled the deletion of #{number} media attachments" if Release.since?('2.5.0')
    end

    def self.remove_silenced
      column = Store.column?('accounts', 'silenced') ? 'silenced' : 'silenced_at IS NOT NULL'
      Store.changed("UPDATE media_attachments SET file_file_name = NULL WHERE account_id IN (SELECT id FROM accounts WHERE #{column})")
    end
  end
end
