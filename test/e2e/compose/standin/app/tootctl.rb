require 'pg'
require 'securerandom'
require 'standin/boot'
require 'standin/jobs'
require 'standin/people'
require 'standin/sizes'
require 'standin/thor'

module Standin
  # bin/tootctl: one entry for each subcommand, with the releases that have it.
  module Tootctl
    COMMANDS = []

    def self.option(name, type = :string, default: nil, aliases: [], first: '2.5.0', gone: nil, enum: nil, required: false)
      Thor::Option.new(name, type, default, aliases, first, gone, enum, required)
    end

    def self.command(path, first:, gone: nil, arity: 0..0, usage: path, options: [], &action)
      COMMANDS.push(Thor::Command.new(path.split, usage, first, gone, arity, options, action))
    end

    def self.run(words)
      Boot.whole!
      return puts(Release.to_s) if Release.since?('2.7.0') && %w[--version -v].include?(words.first)
      return help([]) if words.empty? || words.first == 'help'

      perform(words)
    rescue Thor::Mistake => e
      warn e.message
      exit mistake_code(words)
    rescue PG::Error => e
      abort "#{e.class}: #{e.message}"
    end

    # Thor exits 0 on its own errors unless a class asks otherwise: none did in 2.5, `search` not before 4.2.
    def self.mistake_code(words)
      return 0 if Release.before?('2.6.0')

      words.first == 'search' && Release.before?('4.2.0') ? 0 : 1
    end

    def self.perform(words)
      command = find(words)
      return help(words) if command.nil? && group?(words)
      raise Thor::Mistake, "Could not find command \"#{words.find { |word| !groups.include?(word) }}\"." unless command

      arguments, options = Thor.parse(command, words.drop(command.path.size))
      command.action.call(arguments, options)
    end

    def self.present = COMMANDS.select { |command| Release.has?(command.first, command.gone) }

    # Multi-word names are typed with a dash; Thor takes the underscore as well.
    def self.find(words)
      present.find { |command| command.path == words.take(command.path.size).map.with_index { |word, index| index.zero? ? word : word.tr('_', '-') } }
    end

    def self.groups = present.map { |command| command.path.first if command.path.size > 1 }.compact.uniq

    def self.group?(words) = words.all? { |word| word == 'help' || groups.include?(word) }

    def self.help(words)
      puts 'Commands:'
      present.select { |command| command.path.take(words.size) == words }.each { |command| puts "  tootctl #{command.usage}" }
    end

    # To 4.2 errors went to stdout.
    def self.refuse(message)
      Release.since?('4.3.0') ? warn(message) : puts(message)
      exit 1
    end

    def self.ok(text = 'OK') = puts(text)

    def self.user!(name) = People.by_username(name) || refuse('No user with such username')

    def self.account!(name) = People.account(name) || refuse('No user with such username')

    # Says the record's mistake as each era does.
    def self.invalid(attribute, error, sentence)
      return refuse("Failure/Error: #{attribute}\n    #{error}") if Release.since?('4.3.0')

      refuse("Failure/Error: \n#{attribute}\n    #{sentence}")
    end

    ROLE_NAMES = %w[user moderator admin].freeze
    CONCURRENCY = option('concurrency', :numeric, default: 5, aliases: ['-c'], first: '3.0.0')
    VERBOSE = option('verbose', :boolean, aliases: ['-v'])
    DRY_RUN = option('dry-run', :boolean)

    # 3.5 is the one era that checks the name against a list; before it, what is not `admin` or `moderator` demotes.
    ROLE_OPTIONS = [option('role', first: '2.6.0', gone: '3.5.0'), option('role', first: '3.5.0', gone: '4.0.0', enum: ROLE_NAMES),
                    option('role', first: '4.0.0')].freeze

    def self.role_values(name)
      return { admin: name == 'admin', moderator: name == 'moderator' } if Release.before?('4.0.0')

      { role_id: People.role_id(name) || refuse('Cannot find user role with that name') }
    end

    command('version', first: '2.7.0') { puts Release.to_s }

    # Accounts
    command('accounts rotate', first: '2.5.0', arity: 0..1, usage: 'accounts rotate [USERNAME]', options: [option('all', :boolean)]) do |(name), options|
      refuse('Name an account, or give --all') unless name || options['all']
      account!(name) if name
      Store.sql("UPDATE accounts SET private_key = 'rotated', public_key = 'rotated' WHERE domain IS NULL AND ($1::text IS NULL OR lower(username) = lower($1))", [name])
      ok
    end

    command('accounts create', first: '2.6.0', arity: 1..1, usage: 'accounts create USERNAME',
                               options: [option('email', required: true), option('confirmed', :boolean), option('reattach', :boolean),
                                         option('force', :boolean), option('skip-sign-in-token', :boolean, first: '3.5.0'),
                                         option('approve', :boolean, first: '4.2.0'), *ROLE_OPTIONS]) { |(name), options| Creation.run(name, options) }

    command('accounts modify', first: '2.6.0', arity: 1..1, usage: 'accounts modify USERNAME',
                               options: [option('email'), option('confirm', :boolean), option('enable', :boolean), option('disable', :boolean),
                                         option('disable-2fa', :boolean), option('approve', :boolean, first: '2.8.1'),
                                         option('reset-password', :boolean, first: '3.1.2'),
                                         option('remove-role', :boolean, first: '4.0.0'), *ROLE_OPTIONS]) { |(name), options| Modification.run(name, options) }

    command('accounts approve', first: '2.8.0', arity: 0..1, usage: 'accounts approve [USERNAME]',
                                options: [option('all', :boolean), option('number', :numeric, aliases: ['-n'])]) { |(name), options| Approval.run(name, options) }

    command('accounts delete', first: '2.6.0', arity: 0..1, usage: 'accounts delete USERNAME',
                               options: [option('email', first: '4.1.0'), option('dry-run', :boolean, first: '4.1.0')]) do |(name), options|
      user = name ? user!(name) : People.by_email(options['email'].to_s)
      refuse('No user with such username') unless user
      Deletion.run(user) unless options['dry-run']
      ok(options['dry-run'] ? 'OK (DRY RUN)' : 'OK')
    end

    command('accounts prune', first: '4.1.0', options: [CONCURRENCY, DRY_RUN]) { |_, options| ok("OK, pruned 0 accounts#{' (DRY RUN)' if options['dry-run']}") }
    command('accounts cull', first: '2.6.0', arity: 0..99, options: [CONCURRENCY, DRY_RUN]) do |_, options|
      ok("Visited #{Store.count('SELECT count(*) FROM accounts WHERE domain IS NOT NULL')} accounts, removed 0#{' (DRY RUN)' if options['dry-run']}")
    end
    command('accounts refresh', first: '2.6.0', arity: 0..1, options: [option('all', :boolean), option('domain'), CONCURRENCY, VERBOSE, DRY_RUN]) do |(name), options|
      refuse('Name an account, or give --all') unless name || options['all'] || options['domain']
      ok
    end
    command('accounts backup', first: '2.6.0', arity: 1..1) { |(name), _| user!(name) && ok }
    command('accounts follow', first: '2.7.0', arity: 1..1, options: [CONCURRENCY, VERBOSE]) { |(name), _| account!(name) && ok('OK, followed target from 0 accounts') }
    command('accounts unfollow', first: '2.7.0', arity: 1..1, options: [CONCURRENCY, VERBOSE]) { |_, _| ok('OK, unfollowed target from 0 accounts') }
    command('accounts reset-relationships', first: '2.8.0', arity: 1..1, options: [option('follows', :boolean), option('followers', :boolean)]) { |(name), _| account!(name) && ok('Processed 0 relationships') }
    command('accounts merge', first: '3.3.0', arity: 2..2) { |(from, to), _| account!(from) && account!(to) && ok }
    command('accounts migrate', first: '4.1.0', arity: 1..1, options: [option('replay', :boolean), option('target'), option('force', :boolean)]) { |(name), _| account!(name) && ok }
    command('accounts fix-duplicates', first: '3.3.0', gone: '4.8.0') { |_, _| ok }

    # Media
    command('media remove', first: '2.5.0',
                            options: [option('days', :numeric, default: 7, aliases: ['-d']), option('background', :boolean, gone: '3.0.0'), DRY_RUN, CONCURRENCY,
                                      option('verbose', :boolean, aliases: ['-v'], gone: '4.1.0'), option('verbose', :boolean, aliases: ['-v'], first: '4.3.0'),
                                      option('prune-profiles', :boolean, first: '4.1.0'), option('remove-headers', :boolean, first: '4.1.0'),
                                      option('include-follows', :boolean, first: '4.1.0'), option('keep-interacted', :boolean, first: '4.6.0')]) { |_, options| Removal.media(options) }
    command('media remove-orphans', first: '3.1.0', options: [option('start-after'), option('prefix', first: '3.1.3'), DRY_RUN, option('fix-permissions', :boolean, first: '3.3.0')]) do |_, options|
      ok("Removed 0 orphans (approx. 0 Bytes)#{' (DRY RUN)' if options['dry-run']}")
    end
    command('media refresh', first: '3.0.0',
                             options: [option('account'), option('domain'), option('status'), option('force', :boolean, first: '3.0.1'), option('days', :numeric, first: '4.0.0'),
                                       CONCURRENCY, VERBOSE, DRY_RUN]) { |_, options| Refresh.run(options) }
    command('media usage', first: '3.0.1') { Usage.print }
    command('media lookup', first: '3.1.0', arity: 1..1) { |(url), _| ok(url) }

    # Statuses and cards
    command('statuses remove', first: '2.8.0',
                               options: [option('days', :numeric, default: 90), option('clean-followed', :boolean, first: '3.1.0'), option('skip-media-remove', :boolean, first: '3.1.3'),
                                         option('batch-size', :numeric, default: 1000, aliases: ['-b'], first: '3.5.0'), option('continue', :boolean, first: '3.5.0'),
                                         option('skip-status-remove', :boolean, first: '3.5.0'), option('compress-database', :boolean, first: '3.5.0')]) { |_, options| Removal.statuses(options) }
    command('preview_cards remove', first: '3.0.0', options: [option('days', :numeric, default: 180), CONCURRENCY, VERBOSE, DRY_RUN, option('link', :boolean)]) { |_, options| Removal.cards(options) }

    # Feeds and caches
    command('feeds build', first: '2.6.0', arity: 0..1, options: [option('all', :boolean, default: false), CONCURRENCY, VERBOSE, DRY_RUN, option('skip-filled-timelines', :boolean, first: '4.4.0')]) do |(name), options|
      if options['all'] || (name.nil? && Release.since?('2.6.0'))
        ok("Regenerated feeds for #{options['dry-run'] ? 0 : Feeds.build_all} accounts #{'(DRY RUN)' if options['dry-run']}")
      else
        Feeds.build((People.account(name) || refuse('No such account'))['id'])
        ok
      end
    end
    command('feeds clear', first: '2.6.0') { Store.delete_keys(Store.key('feed:*')).then { ok } }
    command('feeds vacuum', first: '4.4.0') { ok }
    command('cache clear', first: '2.8.1') { Store.delete_keys(Store.cache_pattern).then { ok } }
    command('cache recount', first: '3.0.0', arity: 1..1, options: [CONCURRENCY, VERBOSE]) do |(type), _|
      refuse("Unknown type: #{type}") unless %w[accounts statuses].include?(type)
      ok("OK, recounted #{Counters.recount(type)} records")
    end

    # Registrations
    command('settings registrations open', first: '2.6.0') { Registrations.write('open').then { ok } }
    command('settings registrations close', first: '2.6.0') { Registrations.write('none').then { ok } }
    command('settings registrations approved', first: '3.5.2', options: [option('require-reason', :boolean)]) do |_, options|
      Registrations.write('approved')
      Settings.write('require_invite_text', options['require-reason']) unless options['require-reason'].nil?
      ok
    end

    # The rest: the right last line
    command('emoji import', first: '2.5.0', arity: 1..1, options: [option('prefix'), option('suffix'), option('overwrite', :boolean), option('unlisted', :boolean), option('category')]) { ok('Imported 0, skipped 0, failed to import 0') }
    command('emoji purge', first: '2.8.0', options: [option('remote-only', :boolean, first: '3.1.0'), option('suspended-only', :boolean, first: '4.6.0')]) do |_, options|
      Store.delete_from('custom_emojis', options['remote-only'] ? 'domain IS NOT NULL' : 'true')
      ok
    end
    command('emoji export', first: '3.1.4', arity: 1..1, options: [option('category'), option('overwrite', :boolean)]) { ok('Exported 0') }
    command('domains purge', first: '2.6.0', arity: 0..99, options: [CONCURRENCY, VERBOSE, DRY_RUN, option('limited-federation-mode', :boolean, first: '3.2.0'), option('by-uri', :boolean, first: '3.5.0')]) { |domains, options| Removal.domains(domains, options) }
    command('domains crawl', first: '2.7.0', arity: 0..1) { ok }
    command('search deploy', first: '2.8.0', options: [option('concurrency', :numeric, first: '3.2.0'), option('only', first: '3.2.0'), option('batch-size', :numeric, first: '3.5.0'),
                                                       option('import', :boolean, first: '3.5.3'), option('clean', :boolean, first: '3.5.3'), option('reset-chewy', :boolean, first: '4.2.0'), option('only-mapping', :boolean, first: '4.4.0')]) { Search.deploy }
    command('email_domain_blocks list', first: '3.2.0') { nil }
    command('email_domain_blocks add', first: '3.2.0', arity: 1..99) { |domains, _| ok("Added #{domains.size}, skipped 0") }
    command('email_domain_blocks remove', first: '3.2.0', arity: 1..99) { |domains, _| ok("Removed 0, skipped #{domains.size}") }
    command('ip_blocks add', first: '3.3.0', arity: 1..99, options: [option('severity'), option('duration', :numeric), option('comment'), option('force', :boolean)]) { |blocks, _| ok("Added #{blocks.size}, skipped 0, failed 0") }
    command('ip_blocks remove', first: '3.3.0', arity: 1..99) { |blocks, _| ok("Removed 0, skipped #{blocks.size}") }
    command('ip_blocks export', first: '3.3.0', options: [option('format', aliases: ['-f'])]) { nil }
    command('canonical_email_blocks find', first: '3.5.0', arity: 1..1) { |(email), _| ok("#{email} is not blocked") }
    command('canonical_email_blocks remove', first: '3.5.0', arity: 1..1) { |(email), _| ok("#{email} is not blocked") }
    command('maintenance fix-duplicates', first: '3.3.0', options: [option('verbose', :boolean)]) { Duplicates.fix }
    command('upgrade storage-schema', first: '3.1.4', options: [DRY_RUN, VERBOSE]) { |_, options| ok("Upgraded storage schema of 0 records#{' (DRY RUN)' if options['dry-run']}") }
    command('self-destruct', first: '2.8.0', options: [option('dry-run', :boolean, gone: '4.3.0')]) { refuse('self-destruct asks its questions on a terminal only') }
  end
end
