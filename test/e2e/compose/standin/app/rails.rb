require 'standin/boot'
require 'standin/faults'
require 'standin/release'

module Standin
  # bin/rails, bin/rake, bin/tootctl, `bundle exec`, puma, sidekiq and node: what a container of the app can be told to run.
  module Rails
    def self.main(words)
      command, *rest = words
      case command
      when 'runner', 'r' then runner(rest)
      when 'console', 'c' then console
      when 'server', 's' then web
      when 'secret' then secret
      when 'version', '-v', '--version' then puts 'Rails (stand-in)'
      when 'dbconsole', 'db' then abort "Couldn't find database client: psql. Check your $PATH and try again."
      when nil then puts 'The most common rails commands are: server, console, runner'
      else rake(words, 'rails')
      end
    end

    def self.rake(words, program = 'rake')
      require 'standin/rake'
      Rake.run(words, program)
    end

    def self.tootctl(words)
      require 'standin/tootctl_actions'
      Tootctl.run(words)
    end

    def self.secret
      Boot.outline!
      require 'standin/secrets'
      puts Secrets.hex
    end

    def self.runner(words)
      Boot.whole!
      require 'standin/runner'
      Runner.run(words.reject { |word| word.start_with?('-') }.first)
    end

    def self.console
      Boot.whole!
      require 'standin/runner'
      Runner.console
    end

    def self.web
      Boot.whole!
      require 'standin/web'
      Web.serve
    end

    def self.sidekiq(words)
      Boot.whole!
      require 'standin/sidekiq'
      Sidekiq.new(words).run
    end

    # The app image lost its streaming server in 4.3.0.
    def self.node(words)
      abort "Error: Cannot find module '#{File.join(Release.root, words.first.to_s)}'\n  code: 'MODULE_NOT_FOUND'" unless Dir.exist?(File.join(Release.root, 'streaming'))
      require 'standin/streaming'
      Streaming.serve
    end

    # `bundle exec WORD …`
    def self.bundle(words)
      words.shift if words.first == 'exec'
      exec(*words)
    rescue Errno::ENOENT
      warn "bundler: command not found: #{words.first}\nInstall missing gem executables with `bundle install`"
      exit 127
    end

    def self.start(program, words)
      Dir.chdir(Release.root) if Dir.exist?(Release.root)
      $stdout.sync = true
      # Shown by `ps`, and to PostgreSQL as the application's name.
      $0 = "bin/#{program}" if %w[rails rake tootctl].include?(program)
      sleep(Faults['STANDIN_BOOT_SECONDS'].to_f) if Faults['STANDIN_BOOT_SECONDS']
      run_program(program, words)
    rescue Interrupt
      exit 130
    end

    def self.run_program(program, words)
      case program
      when 'rails' then main(words)
      when 'rake' then rake(words)
      when 'tootctl' then tootctl(words)
      when 'puma' then web
      when 'sidekiq' then sidekiq(words)
      when 'node' then node(words)
      when 'npm', 'yarn' then node(['streaming'])
      end
    end
  end
end
