require 'standin/tootctl'

module Standin
  module Tootctl
    # accounts modify
    module Modification
      def self.run(name, options)
        user = Tootctl.user!(name)
        password = nil
        Store.postgres.transaction do
          People.update(user, values(options))
          People.confirm(user) if options['confirm']
          disable_two_factor(user) if options['disable-2fa']
          password = People.reset_password(user) if options['reset-password']
        end
        Tootctl.ok
        puts "New password: #{password}" if password
      end

      def self.values(options)
        changes = {}
        changes.merge!(Tootctl.role_values(options['role'])) if options['role']
        changes[:role_id] = nil if options['remove-role']
        changes[:email] = options['email'] if options['email']
        changes[:disabled] = false if options['enable']
        changes[:disabled] = true if options['disable']
        changes[:approved] = true if options['approve']
        changes
      end

      # 2.6.0 to 4.3 only took the flag away: codes, secret and security keys stayed.
      def self.disable_two_factor(user)
        Release.since?('4.4.0') ? People.disable_two_factor(user) : People.update(user, otp_required_for_login: false)
      end
    end

    # accounts create
    module Creation
      def self.run(name, options)
        Tootctl.invalid('username', 'invalid', 'must contain only letters, numbers and underscores') unless name.match?(/\A[a-z0-9_]+([a-z0-9_.-]+[a-z0-9_]+)?\z/i)
        taken = People.account(name)
        return reattach(taken, name, options) if taken && options['reattach']

        Tootctl.invalid('account.username', 'taken', 'has already been taken') if taken
        make(name, options)
      end

      def self.make(name, options)
        Tootctl.invalid('email', 'taken', 'has already been taken') if People.by_email(options['email'])
        role = options['role'] ? Tootctl.role_values(options['role']) : {}
        password = People.create(name, options['email'], role.merge(confirmed_at: confirmed?(options) ? Time.now : nil, approved: approved?(options)))
        Tootctl.ok
        puts "New password: #{password}"
      end

      # A used name without --force: two lines, no password, exit 0.
      def self.reattach(account, name, options)
        used = Store.rows('SELECT * FROM users WHERE account_id = $1', [account['id']]).first
        if used && !options['force']
          puts 'That username is in use'
          return puts('Give --force to take it over and remove its user')
        end
        Deletion.run(used) if used
        Store.sql('DELETE FROM accounts WHERE id = $1', [account['id']])
        make(name, options)
      end

      # 2.6 confirmed everybody.
      def self.confirmed?(options) = options['confirmed'] || Release.before?('2.7.0')

      # 2.8.0 forgot to approve, 2.8.1 to 4.1 always did, from 4.2.0 open registrations or --approve decide.
      def self.approved?(options)
        return Registrations.mode != 'approved' if Release.has?('2.8.0', '2.8.1')
        return true if Release.before?('4.2.0')

        options['approve'] || Registrations.mode == 'open'
      end
    end

    # accounts approve
    module Approval
      def self.run(name, options)
        return approve(Tootctl.user!(name)).then { Tootctl.ok } if name
        return Tootctl.refuse('Name an account, or give --all') unless options['all'] || options['number']

        Tootctl.refuse('--number wants a positive number') if options['number'] && !options['number'].positive?
        limit = options['all'] ? '' : "LIMIT #{options['number']}"
        Store.rows("SELECT * FROM users WHERE NOT approved ORDER BY id #{limit}").each { |user| approve(user) }
        Tootctl.ok
      end

      # User#approve! also starts what a new user gets; `modify --approve` does not.
      def self.approve(user)
        People.update(user, approved: true)
        Store.redis.set("standin:bootstrapped:#{user['id']}", Time.now.utc.iso8601)
      end
    end

    # The user and account go; what hangs on them in this schema's foreign keys goes with them.
    module Deletion
      def self.run(user)
        Store.delete_from('webauthn_credentials', 'user_id = $1', [user['id']])
        Store.delete_from('session_activations', 'user_id = $1', [user['id']])
        Store.sql('DELETE FROM users WHERE id = $1', [user['id']])
        Store.update('accounts', user['account_id'], suspended_at: Time.now, suspended: true)
      end
    end

    # Registrations are a word from 2.8.0 on, a flag before.
    module Registrations
      def self.write(mode)
        Release.since?('2.8.0') ? Settings.write('registrations_mode', mode) : Settings.write('open_registrations', mode == 'open')
      end

      # config/settings.yml says `none` from 4.2.8 and 4.3.0, `open` before.
      def self.mode = Settings.read('registrations_mode') || (Release.since?('4.2.8') ? 'none' : 'open')
    end

    # What takes rows or cached files away.
    module Removal
      module_function

      def media(options)
        return profiles(options) if options['prune-profiles'] || options['remove-headers']

        number, bytes = Media.remove(options['days'], dry_run: options['dry-run'])
        puts "Removed #{number} media attachments (approx. #{Sizes.human(bytes)})#{suffix(options)}"
      end

      def profiles(options)
        Tootctl.refuse('Give --prune-profiles or --remove-headers, not both') if options['prune-profiles'] && options['remove-headers']
        visited = Store.count('SELECT count(*) FROM accounts WHERE domain IS NOT NULL')
        puts "Visited #{visited} accounts and removed profile media totaling 0 Bytes#{suffix(options)}"
      end

      def cards(options)
        where = "image_file_name IS NOT NULL AND updated_at < now() - make_interval(days => $1::int)#{' AND type = 0' if options['link']}"
        number, bytes = Store.rows("SELECT count(*) AS n, coalesce(sum(image_file_size), 0) AS b FROM preview_cards WHERE #{where}", [options['days']]).first.values.map(&:to_i)
        Store.sql("UPDATE preview_cards SET image_file_name = NULL, image_file_size = NULL WHERE #{where}", [options['days']]) unless options['dry-run']
        puts "Removed media from #{number} #{'link-type ' if options['link']}preview cards (approx. #{Sizes.human(bytes)})#{suffix(options)}"
      end

      # Remote statuses that no local person touched.
      def statuses(options)
        total = Store.count('SELECT count(*) FROM statuses')
        started = Time.now
        removed = options['skip-status-remove'] ? 0 : Store.changed(UNTOUCHED, [options['days']])
        puts "Done after #{format('%.2f', Time.now - started)}s, removed #{removed} out of #{total} statuses."
        return if Release.before?('3.5.0')

        puts 'Done after 0.00s, removed 0 out of 0 media_attachments.'
        puts 'Done after 0.00s, removed 0 out of 0 conversations.'
      end

      UNTOUCHED = <<~SQL.freeze
        DELETE FROM statuses s USING accounts a
        WHERE a.id = s.account_id AND a.domain IS NOT NULL AND s.created_at < now() - make_interval(days => $1::int)
          AND NOT EXISTS (SELECT FROM statuses r JOIN accounts l ON l.id = r.account_id
                          WHERE l.domain IS NULL AND (r.in_reply_to_id = s.id OR r.reblog_of_id = s.id))
          AND NOT EXISTS (SELECT FROM favourites f JOIN accounts l ON l.id = f.account_id
                          WHERE l.domain IS NULL AND f.status_id = s.id)
      SQL

      def domains(domains, options)
        Tootctl.refuse('Name at least one domain') if domains.empty?
        list = "{#{domains.map { |domain| "\"#{domain.gsub(/["\\]/) { |mark| "\\#{mark}" }}\"" }.join(',')}}"
        number = options['dry-run'] ? 0 : Store.delete_from('accounts', 'domain = ANY($1::text[])', [list])
        puts "Removed #{number} accounts#{suffix(options)}"
        puts "Removed #{options['dry-run'] ? 0 : Store.delete_from('custom_emojis', 'domain = ANY($1::text[])', [list])} custom emojis#{suffix(options)}"
      end

      def suffix(options) = options['dry-run'] ? ' (DRY RUN)' : ''
    end

    # media refresh
    module Refresh
      def self.run(options)
        where, params = scope(options)
        where += ' AND file_file_name IS NULL' unless options['force']
        number = options['dry-run'] ? 0 : Media.refresh(where, params)
        puts "Downloaded #{number} media attachments (approx. #{Sizes.human(number * 1024)})#{Removal.suffix(options)}"
      end

      def self.scope(options)
        return ['account_id IN (SELECT id FROM accounts WHERE domain = $1)', [options['domain']]] if options['domain']
        return ['status_id = $1', [options['status']]] if options['status']
        return ["account_id IN (SELECT id FROM accounts WHERE username || '@' || domain = $1)", [options['account'].delete_prefix('@')]] if options['account']
        return ["created_at > now() - make_interval(days => $1::int)", [options['days']]] if options['days']

        Tootctl.refuse('Say which: --account, --domain or --status')
      end
    end

    # media usage: lines in 3.x, a table later
    module Usage
      OBJECTS = ['Attachments', 'Custom emoji', 'Preview cards', 'Avatars', 'Headers', 'Backups', 'Imports', 'Settings'].freeze

      def self.print
        total = Store.count('SELECT coalesce(sum(file_file_size), 0) FROM media_attachments')
        local = Store.count("SELECT coalesce(sum(file_file_size), 0) FROM media_attachments WHERE remote_url = ''")
        sizes = OBJECTS.to_h { |object| [object, object == 'Attachments' ? [total, local] : [0, 0]] }
        Release.since?('4.0.0') ? table(sizes) : lines(sizes)
      end

      def self.lines(sizes) = sizes.each { |object, (total, local)| puts "#{object}:\t#{Sizes.human(total)} (#{Sizes.human(local)} local)" }

      def self.table(sizes)
        puts format('%-14s %-10s %-10s', 'Object', 'Total', 'Local')
        sizes.each { |object, (total, local)| puts format('%-14s %-10s %-10s', object, Sizes.human(total), Sizes.human(local)) }
      end
    end

    # search deploy
    module Search
      def self.deploy
        Tootctl.refuse('Elasticsearch is not enabled') unless ENV['ES_ENABLED'] == 'true'
        puts "Indexed #{Store.count('SELECT count(*) FROM accounts')} records, de-indexed 0"
      end
    end

    # maintenance fix-duplicates: refuses beside a running Sidekiq, and asks
    module Duplicates
      def self.fix
        Tootctl.refuse('Sidekiq is running: stop it first') if Store.redis.scard(Store.key('processes')).positive?
        puts 'This repairs indexes and takes long. Continue? [yN]'
        return exit(1) unless $stdin.gets.to_s.strip.match?(/\Ay(es)?\z/i)

        puts 'Finished!'
      end
    end
  end
end
