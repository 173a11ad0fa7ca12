require 'pg'
require 'zlib'
require 'standin/boot'
require 'standin/faults'
require 'standin/store'

module Standin
  # The numbered files under db/, run as Rails runs its own: in order, each in a transaction, one process at a time.
  module Migrations
    # A file holds its SQL between the lines `execute <<'SQL'` and `SQL`.
    Migration = Struct.new(:id, :name, :phase, :path) do
      def sql = File.read(path)[/^execute <<'SQL'\n(.*)^SQL$/m, 1]
    end

    # Rails takes an advisory lock of this number times the CRC of the database's name.
    LOCK_SALT = 2_053_462_845

    # An upgrade without post-deployment migrations needs at least this schema (4.2.0, 4.3.0).
    ZERO_DOWNTIME_FLOORS = { '4.4.0' => [20_230_907_150_100, '4.2.0'], '4.7.0' => [20_241_007_071_624, '4.3.0'] }.freeze

    # The lowest server_version_num that db:migrate accepts, from 3.4.0 on.
    SERVER_FLOORS = { '3.4.0' => [90_500, '9.5'], '4.3.0' => [120_000, '12'], '4.4.0' => [130_000, '13'], '4.5.0' => [140_000, '14'] }.freeze

    module_function

    def skip_post? = Release.since?('2.5.0') && !Boot.blank?('SKIP_POST_DEPLOYMENT_MIGRATIONS')

    def all
      folders = { 'pre' => 'db/migrate', 'post' => 'db/post_migrate' }
      folders.flat_map { |phase, folder| in_folder(phase, File.join(Release.root, folder)) }.sort_by(&:id)
    end

    def in_folder(phase, folder)
      Dir[File.join(folder, '*.rb')].map do |path|
        id, name = File.basename(path, '.rb').split('_', 2)
        Migration.new(id, name.split('_').map(&:capitalize).join, phase, path)
      end
    end

    def visible = skip_post? ? all.select { |migration| migration.phase == 'pre' } : all

    def applied
      Store.table?('schema_migrations') ? Store.rows('SELECT version FROM schema_migrations').map { |row| row['version'] } : []
    end

    def pending = applied.then { |done| visible.reject { |migration| done.include?(migration.id) } }

    def current = applied.map(&:to_i).max || 0

    def migrate
      check_before if Release.since?('3.4.0')
      locked do
        prepare_tables
        pending.each { |migration| run(migration) }
      end
    end

    def check_before
      refuse_old_server
      refuse_old_schema if skip_post?
    end

    def refuse_old_server
      number, name = SERVER_FLOORS.select { |release, _| Release.since?(release) }.values.last
      return if Store.postgres.server_version >= number

      abort "This Mastodon needs PostgreSQL #{name} or newer"
    end

    def refuse_old_schema
      number, name = ZERO_DOWNTIME_FLOORS.select { |release, _| Release.since?(release) }.values.last
      return if number.nil? || current >= number

      abort "Zero-downtime migrations are possible from Mastodon #{name} on only: upgrade to it first"
    end

    def locked
      lock = LOCK_SALT * Zlib.crc32(Store.database_name)
      taken = Store.value('SELECT pg_try_advisory_lock($1)', [lock]) == 't'
      raise 'ActiveRecord::ConcurrentMigrationError: Cannot run migrations because another migration process is currently running.' unless taken

      yield
    ensure
      Store.sql('SELECT pg_advisory_unlock($1)', [lock]) if taken && Store.postgres.transaction_status.zero?
    end

    def prepare_tables
      Store.sql('CREATE TABLE IF NOT EXISTS schema_migrations (version varchar NOT NULL PRIMARY KEY)')
      Store.sql('CREATE TABLE IF NOT EXISTS ar_internal_metadata (key varchar NOT NULL PRIMARY KEY, value varchar, created_at timestamp NOT NULL, updated_at timestamp NOT NULL)')
      Store.sql("INSERT INTO ar_internal_metadata VALUES ('environment', $1, now(), now()) ON CONFLICT (key) DO NOTHING", [ENV.fetch('RAILS_ENV', 'development')])
    end

    def run(migration)
      announce "#{migration.id} #{migration.name}: migrating"
      seconds = timed { apply(migration) }
      puts "   -> #{format('%.4f', seconds)}s"
      announce "#{migration.id} #{migration.name}: migrated (#{format('%.4f', seconds)}s)"
      puts
    end

    def apply(migration)
      puts '-- execute(SQL)'
      $stdout.flush
      Store.postgres.transaction do |connection|
        check_one_time_secrets(migration)
        fault(migration, connection)
        connection.exec(migration.sql)
        connection.exec_params('INSERT INTO schema_migrations (version) VALUES ($1)', [migration.id])
      end
    rescue PG::Error, Faulty => e
      raise "StandardError: An error has occurred, this and all later migrations canceled:\n\n#{e.class}: #{e.message}"
    end

    Faulty = Class.new(StandardError)

    def fault(migration, connection)
      id, seconds = Faults['STANDIN_SLEEP_MIGRATION'].to_s.split(':')
      connection.exec_params('SELECT pg_sleep($1::float8)', [seconds]) if id == migration.id
      raise Faulty, "#{migration.name} fails as it was asked to" if Faults['STANDIN_FAIL_MIGRATION'] == migration.id
    end

    # 4.3's post-migration reads the old two-factor secrets with OTP_SECRET. The demonstration data
    # names the key that sealed them in the salt column: `key:<first 16 hex digits of its SHA-256>`.
    OTP_MIGRATION = '20240307180905'

    def check_one_time_secrets(migration)
      return unless migration.id == OTP_MIGRATION && ENV['MIGRATION_IGNORE_INVALID_OTP_SECRET'] != 'true'

      return if Store.count('SELECT count(*) FROM users WHERE encrypted_otp_secret IS NOT NULL').zero?

      require 'digest'
      sealed = "key:#{Digest::SHA256.hexdigest(ENV.fetch('OTP_SECRET'))[0, 16]}"
      wrong = Store.count("SELECT count(*) FROM users WHERE encrypted_otp_secret_salt LIKE 'key:%' AND encrypted_otp_secret_salt <> $1", [sealed])
      abort 'The OTP_SECRET that is set does not open the two-factor secrets of this database' if wrong.positive?
    end

    def announce(text) = puts("== #{text} ".ljust(79, '='))

    def timed
      start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      yield
      Process.clock_gettime(Process::CLOCK_MONOTONIC) - start
    end

    def status
      done = applied
      puts "\ndatabase: #{Store.database_name}\n\n Status   Migration ID    Migration Name\n#{'-' * 50}"
      all.each { |migration| puts "   #{done.include?(migration.id) ? ' up ' : 'down'}    #{migration.id}  #{migration.name}" }
      puts
    end

    def abort_if_pending
      waiting = pending
      return if waiting.empty?

      puts "You have #{waiting.size} pending migration#{'s' if waiting.size > 1}:"
      waiting.each { |migration| puts format('  %<id>4s %<name>s', id: migration.id, name: migration.name) }
      abort 'Run `rails db:migrate` to update your database then try again.'
    end
  end
end
