require 'securerandom'
require 'standin/store'

module Standin
  # db:seed of each era: repeatable only from 4.0.0 on.
  module Seeds
    ROLES = [['Moderator', 10, 1308], ['Admin', 100, 983_036], ['Owner', 1000, 1]].freeze
    EVERYONE = -99

    module_function

    def plant
      web_application
      instance_actor if Release.since?('3.0.0')
      roles if Release.since?('4.0.0') && Store.table?('user_roles')
    end

    def web_application
      return unless Store.table?('oauth_applications')
      return if Release.since?('4.0.0') && Store.count('SELECT count(*) FROM oauth_applications WHERE superapp').positive?

      Store.insert('oauth_applications', name: 'Web', superapp: true, uid: SecureRandom.hex(32), secret: SecureRandom.hex(32),
                                         redirect_uri: 'urn:ietf:wg:oauth:2.0:oob', scopes: 'read write follow push',
                                         created_at: Time.now, updated_at: Time.now)
    end

    def instance_actor
      return unless Store.table?('accounts')
      return if Store.count('SELECT count(*) FROM accounts WHERE id = -99').positive?

      Store.insert('accounts', id: -99, username: ENV.fetch('LOCAL_DOMAIN', 'localhost'), locked: true,
                               actor_type: 'Application', uri: '', created_at: Time.now, updated_at: Time.now)
    end

    def roles
      role(EVERYONE, '', -1, 65_536)
      ROLES.each { |name, position, permissions| role(nil, name, position, permissions) }
    end

    def role(id, name, position, permissions)
      known = id ? Store.count('SELECT count(*) FROM user_roles WHERE id = $1', [id]) : Store.count('SELECT count(*) FROM user_roles WHERE name = $1', [name])
      return if known.positive?

      Store.insert('user_roles', { id: id, name: name, position: position, permissions: permissions, highlighted: !id,
                                   color: '', created_at: Time.now, updated_at: Time.now }.compact)
    end
  end
end
