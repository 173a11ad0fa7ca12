require 'standin/migrations'
require 'standin/seeds'

module Standin
  # Creating and dropping the database, with Rails' protection of a production one.
  module Databases
    module_function

    def create
      name = Store.address[:dbname]
      elsewhere { |connection| connection.exec("CREATE DATABASE #{connection.quote_ident(name)} TEMPLATE template0 ENCODING 'UTF8'") }
      puts "Created database '#{name}'"
    rescue PG::DuplicateDatabase
      warn "Database '#{name}' already exists"
    end

    def drop
      protect
      name = Store.address[:dbname]
      Store.forget_postgres
      elsewhere { |connection| connection.exec("DROP DATABASE IF EXISTS #{connection.quote_ident(name)}") }
      puts "Dropped database '#{name}'"
    end

    # The instance's own database may be called postgres, so the maintenance database is template1 then.
    def elsewhere
      connection = Store.connect(Store.address[:dbname] == 'postgres' ? 'template1' : 'postgres')
      yield connection
    ensure
      connection&.close
    end

    def load_schema
      protect
      Store.sql('DROP SCHEMA public CASCADE')
      Store.sql('CREATE SCHEMA public')
      Store.forget_postgres
      quietly { Migrations.locked { Migrations.prepare_tables; Migrations.all.each { |migration| Migrations.apply(migration) } } }
    end

    def setup
      create
      load_schema
      Seeds.plant
    end

    def reset
      drop
      setup
    end

    def prepare
      fresh = Migrations.applied.empty?
      Migrations.migrate
      Seeds.plant if fresh
    rescue PG::ConnectionBad
      setup
    end

    # Rails refuses to destroy what ar_internal_metadata calls production.
    def protect
      return unless Store.table?('ar_internal_metadata') && ENV['DISABLE_DATABASE_ENVIRONMENT_CHECK'].to_s.empty?
      return unless Store.value("SELECT value FROM ar_internal_metadata WHERE key = 'environment'") == 'production'

      raise "ActiveRecord::ProtectedEnvironmentError: You are attempting to run a destructive action against your 'production' database.\n" \
            "If you are sure you want to continue, run the same command with the environment variable:\nDISABLE_DATABASE_ENVIRONMENT_CHECK=1"
    end

    def quietly
      kept = $stdout
      $stdout = File.open(File::NULL, 'w')
      yield
    ensure
      $stdout = kept
    end
  end
end
