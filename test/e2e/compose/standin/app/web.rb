require 'pg'
require 'uri'
require 'standin/actors'
require 'standin/boot'
require 'standin/faults'
require 'standin/http'
require 'standin/migrations'
require 'standin/people'
require 'standin/store'

module Standin
  # The web process: the pages that a health check or an operator asks for. It keeps one pooled
  # database connection open, as a real one does, and answers 500 once when that was cut.
  module Web
    TEXT = 'text/plain'
    LOCK = Mutex.new

    module_function

    def serve
      $0 = 'puma 6.4.3 (tcp://0.0.0.0:3000) [mastodon]'
      Store.postgres
      Http.serve(ENV.fetch('PORT', '3000').to_i, $0) { |request| LOCK.synchronize { answer(request) } }
    end

    def answer(request)
      return open_page(request) if open_page?(request)
      return [403, TEXT, 'Blocked host'] unless allowed_host?(request)
      return [301, TEXT, '', { 'Location' => "https://#{request.headers['host']}#{request.path}" }] unless secure?(request)

      page(request)
    rescue PG::Error => e
      Store.forget_postgres
      [500, TEXT, "#{e.class}: #{e.message}"]
    end

    # /health is exempt from host authorisation and https; /db and /standin/* are this stand-in's own.
    def open_page?(request) = (request.path == '/health' && Release.since?('3.0.0')) || request.path == '/db' || request.path.start_with?('/standin/')

    def open_page(request)
      return health if request.path == '/health'
      return [200, TEXT, Store.value('SELECT 1')] if request.path == '/db'
      return [200, 'application/json', JSON.generate(post: post)] if request.path == '/standin/post'
      return Actors.page(request) if request.path.start_with?('/standin/sign/')

      [404, TEXT, 'Not found']
    end

    # 3.0 to 3.3 look at database, migrations and cache; from 3.4.0 the answer is constant.
    def health
      return [500, TEXT, 'asked to be unhealthy'] if Faults['STANDIN_UNHEALTHY'] == 'web'
      return [200, TEXT, 'OK'] if Release.since?('3.4.0')

      Store.redis.ping
      Migrations.pending.empty? ? [200, TEXT, 'success'] : [500, TEXT, 'health_check failed: pending migrations']
    end

    # A host list exists from 3.4.0 on.
    def allowed_host?(request)
      return true if Release.before?('3.4.0') || !Boot.production?

      host = request.headers['host'].to_s.sub(/:\d+\z/, '')
      [ENV['LOCAL_DOMAIN'], ENV['WEB_DOMAIN'], *ENV['ALTERNATE_DOMAINS'].to_s.split(/\s*,\s*/)].compact.include?(host)
    end

    # To 2.1.0 LOCAL_HTTPS decided; since then production is always https.
    def secure?(request)
      return true unless Boot.production?
      return true if Release.before?('2.1.1') && ENV['LOCAL_HTTPS'] != 'true'

      request.headers['x-forwarded-proto'] == 'https'
    end

    def page(request)
      return sign_in(URI.decode_www_form(request.body.to_s).to_h) if request.method == 'POST' && request.path == '/auth/sign_in'

      actor = Actors.page(request)
      return actor if actor

      body = pages[request.path]
      body ? [200, 'application/json', JSON.generate(body.call)] : [404, TEXT, 'Not found']
    end

    # Who may not sign in, or types another password, gets the form again.
    def sign_in(form)
      user = People.by_email(form['user[email]'].to_s)
      return [401, TEXT, 'Invalid E-mail address or password.'] unless user && user['encrypted_password'] == People.digest(form['user[password]'].to_s)

      why = obstacle(user)
      why ? [401, TEXT, why] : [302, TEXT, '', { 'Location' => "https://#{domain}/" }]
    end

    def obstacle(user)
      return 'not confirmed' unless user['confirmed_at']
      return 'waits for approval' if user['approved'] == 'f'
      return 'disabled' if user['disabled'] == 't'

      account = Store.rows('SELECT * FROM accounts WHERE id = $1', [user['account_id']]).first
      'suspended' if account['suspended_at'] || account['suspended'] == 't'
    end

    def pages
      known = { '/api/v1/instance' => -> { instance_v1 } }
      known['/api/v2/instance'] = -> { instance_v2 } if Release.since?('4.0.0')
      if Release.since?('3.0.0')
        known['/.well-known/nodeinfo'] = -> { { links: [{ rel: 'http://nodeinfo.diaspora.software/ns/schema/2.0', href: "https://#{domain}/nodeinfo/2.0" }] } }
        known['/nodeinfo/2.0'] = -> { nodeinfo }
      end
      known
    end

    def domain = ENV.fetch('LOCAL_DOMAIN', 'localhost')

    def instance_v1
      { uri: domain, title: 'Mastodon', version: Release.to_s, urls: { streaming_api: "wss://#{domain}" },
        stats: { user_count: Store.count('SELECT count(*) FROM users'), status_count: Store.count('SELECT count(*) FROM statuses') } }
    end

    def instance_v2
      { domain: domain, title: 'Mastodon', version: Release.to_s }.merge(Release.since?('4.3.0') ? { api_versions: { mastodon: 2 } } : {})
    end

    def nodeinfo
      { version: '2.0', software: { name: 'mastodon', version: Release.to_s }, protocols: ['activitypub'],
        usage: { users: { total: Store.count('SELECT count(*) FROM users') }, localPosts: 0 }, openRegistrations: false }
    end

    # GET /standin/post writes a post of the first local person: a writer for tests. @return [String] its id
    def post
      account = Store.value('SELECT account_id FROM users ORDER BY id LIMIT 1')
      Store.insert('statuses', account_id: account, text: "written at #{Time.now.utc}", local: true, visibility: 0,
                               uri: "https://#{domain}/standin/#{Process.clock_gettime(Process::CLOCK_REALTIME, :nanosecond)}",
                               created_at: Time.now, updated_at: Time.now)
    end
  end
end
