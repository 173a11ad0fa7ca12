require 'standin/store'

module Standin
  # Byte counts as Rails words them.
  module Sizes
    UNITS = %w[Bytes KB MB GB TB].freeze

    # @return [String] e.g. "0 Bytes", "1.5 MB": three significant digits
    def self.human(bytes)
      power = bytes < 1024 ? 0 : [(Math.log(bytes) / Math.log(1024)).floor, UNITS.size - 1].min
      number = bytes.fdiv(1024**power)
      text = power.zero? ? bytes.to_s : format('%.3g', number)
      "#{text} #{bytes == 1 ? 'Byte' : UNITS[power]}"
    end
  end

  # Attached files, in the rows only: nothing lies on disk here.
  module Media
    CACHED = "remote_url <> '' AND file_file_name IS NOT NULL"

    # @return [Array(Integer, Integer)] number and bytes of the remote files that went
    def self.remove(days, dry_run: false)
      where = "#{CACHED} AND created_at < now() - make_interval(days => $1::int)"
      number, bytes = Store.rows("SELECT count(*) AS n, coalesce(sum(file_file_size), 0) AS b FROM media_attachments WHERE #{where}", [days]).first.values.map(&:to_i)
      Store.sql("UPDATE media_attachments SET file_file_name = NULL, file_file_size = NULL, updated_at = now() WHERE #{where}", [days]) unless dry_run
      [number, bytes]
    end

    def self.refresh(where, params)
      Store.changed("UPDATE media_attachments SET file_file_name = 'refreshed.png', file_file_size = 1024, updated_at = now() WHERE remote_url <> '' AND #{where}", params)
    end
  end

  # Home feeds in Redis.
  module Feeds
    # @return [Integer] for how many accounts a feed was built
    def self.build_all
      ids = Store.rows('SELECT account_id FROM users WHERE confirmed_at IS NOT NULL ORDER BY id').map { |row| row['account_id'] }
      ids.each { |id| build(id) }.size
    end

    def self.build(account_id)
      statuses = Store.rows('SELECT s.id FROM statuses s WHERE s.account_id = $1 OR s.account_id IN (SELECT target_account_id FROM follows WHERE account_id = $1) ORDER BY s.id DESC LIMIT 400', [account_id])
      feed = Store.key("feed:home:#{account_id}")
      Store.redis.del(feed)
      statuses.each { |row| Store.redis.zadd(feed, row['id'].to_f, row['id']) }
    end
  end

  # Rows of the settings table: YAML in `value`.
  module Settings
    def self.write(name, value)
      text = "--- #{value}\n"
      return if Store.changed('UPDATE settings SET value = $2 WHERE var = $1', [name, text]).positive?

      Store.insert('settings', var: name, value: text, created_at: Time.now, updated_at: Time.now)
    end

    def self.read(name) = Store.value('SELECT value FROM settings WHERE var = $1', [name])&.sub(/\A--- ?/, '')&.strip
  end

  # Counters, which moved out of accounts in 2.7.0 and out of statuses in 2.5.0.
  module Counters
    def self.recount_all = recount('accounts')

    # @return [Integer] how many rows were looked at
    def self.recount(type)
      if Store.table?('account_stats') && type == 'accounts'
        Store.sql('UPDATE account_stats t SET statuses_count = (SELECT count(*) FROM statuses s WHERE s.account_id = t.account_id)')
      elsif type == 'accounts' && Store.column?('accounts', 'statuses_count')
        Store.sql('UPDATE accounts a SET statuses_count = (SELECT count(*) FROM statuses s WHERE s.account_id = a.id)')
      end
      Store.count("SELECT count(*) FROM #{type == 'accounts' ? 'accounts' : 'statuses'}")
    end
  end
end
