require 'standin/release'

module Standin
  # The real PostgreSQL and Redis behind the stand-in, found by the environment as Mastodon finds them.
  module Store
    module_function

    def sql(text, params = []) = postgres.exec_params(text, params)

    # @return [Array<Hash>] rows with string keys
    def rows(text, params = []) = sql(text, params).to_a

    def value(text, params = []) = sql(text, params).then { |found| found.ntuples.zero? ? nil : found.getvalue(0, 0) }

    def count(text, params = []) = value(text, params).to_i

    def changed(text, params = []) = sql(text, params).cmd_tuples

    def postgres = @postgres ||= connect

    # Drops a broken connection, so that the next question opens a new one.
    def forget_postgres
      @postgres&.close
    rescue PG::Error
      nil
    ensure
      @postgres = nil
      @columns = nil
    end

    # @param database another database of the same server, for creating and dropping
    def connect(database = nil)
      require 'pg'
      connection = PG.connect(address.merge(database ? { dbname: database } : {}))
      connection.set_notice_processor { |_| nil }
      connection
    end

    def database_name = address[:dbname] || connect.db

    def address
      url = ENV['DATABASE_URL'].to_s
      return PG::Connection.conninfo_parse(url).select { |part| part[:val] }.to_h { |part| [part[:keyword].to_sym, part[:val]] } unless url.empty?

      { host: ENV.fetch('DB_HOST', 'localhost'), port: ENV.fetch('DB_PORT', '5432'), dbname: ENV['DB_NAME'] || default_database,
        user: ENV.fetch('DB_USER', 'mastodon'), password: ENV.fetch('DB_PASS', '') }
    end

    def default_database = "mastodon_#{ENV.fetch('RAILS_ENV', 'development')}"

    def table?(name) = columns(name).any?

    def column?(table, name) = columns(table).include?(name.to_s)

    def columns(table)
      @columns ||= {}
      @columns[table] ||= rows('SELECT attname FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped', ["public.#{table}"])
                          .map { |row| row['attname'] }
    end

    # Columns that this era's table lacks are left out.
    def update(table, id, values)
      known = values.select { |name, _| column?(table, name) }
      return if known.empty?

      sets = known.keys.each_with_index.map { |name, index| "#{name} = $#{index + 2}" }
      sql("UPDATE #{table} SET #{sets.join(', ')} WHERE id = $1", [id, *known.values])
    end

    def insert(table, values)
      known = values.select { |name, _| column?(table, name) }
      marks = (1..known.size).map { |index| "$#{index}" }
      value("INSERT INTO #{table} (#{known.keys.join(', ')}) VALUES (#{marks.join(', ')}) RETURNING id", known.values)
    end

    def delete_from(table, where, params = [])
      table?(table) ? changed("DELETE FROM #{table} WHERE #{where}", params) : 0
    end

    def redis
      @redis ||= begin
        # Debian keeps this gem outside of Ruby's own folders, and RubyGems is off for the sake of speed.
        $LOAD_PATH.concat(Dir['/usr/share/rubygems-integration/all/gems/redis-*/lib'])
        require 'redis'
        Redis.sadd_returns_boolean = false
        Redis.new(redis_address)
      end
    end

    def redis_address
      url = ENV['REDIS_URL'].to_s
      return { url: url } unless url.empty?

      { host: ENV.fetch('REDIS_HOST', 'localhost'), port: ENV.fetch('REDIS_PORT', '6379').to_i,
        db: ENV.fetch('REDIS_DB', '0').to_i, password: ENV['REDIS_PASSWORD'] }.compact
    end

    # Feeds and Sidekiq carry the prefix that existed to 4.3.
    def key(name) = namespace ? "#{namespace}:#{name}" : name

    def cache_pattern = namespace ? "#{namespace}_cache:*" : 'cache:*'

    def namespace
      given = ENV['REDIS_NAMESPACE'].to_s
      given.empty? ? nil : given
    end

    # @return [Integer] how many keys went
    def delete_keys(pattern)
      found = redis.scan_each(match: pattern).to_a.uniq
      found.each_slice(500) { |some| redis.del(*some) }
      found.size
    end
  end
end
