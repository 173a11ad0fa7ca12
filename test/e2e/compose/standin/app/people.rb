require 'securerandom'
require 'standin/release'
require 'standin/store'

module Standin
  # Local accounts and their users, changed as each era changes them.
  module People
    module_function

    # @return [Hash, nil] the user's row with `username`, found as tootctl finds it: whatever the case
    def by_username(name)
      Store.rows('SELECT u.*, a.username FROM users u JOIN accounts a ON a.id = u.account_id WHERE a.domain IS NULL AND lower(a.username) = lower($1)', [name]).first
    end

    # The old rake tasks compare the name as it is.
    def by_exact_username(name)
      Store.rows('SELECT u.*, a.username FROM users u JOIN accounts a ON a.id = u.account_id WHERE a.username = $1', [name]).first
    end

    def by_email(email)
      Store.rows('SELECT u.*, a.username FROM users u JOIN accounts a ON a.id = u.account_id WHERE u.email = $1', [email]).first
    end

    def account(name)
      Store.rows('SELECT * FROM accounts WHERE domain IS NULL AND lower(username) = lower($1)', [name]).first
    end

    def update(user, values) = Store.update('users', user['id'], values.merge(updated_at: Time.now))

    def confirm(user)
      return if user['confirmed_at']

      update(user, { confirmed_at: Time.now }.merge(user['unconfirmed_email'] ? { email: user['unconfirmed_email'], unconfirmed_email: nil } : {}))
    end

    # User#disable_two_factor!: to 3.2 the secret stays, from 3.3.0 it goes with the security keys.
    def disable_two_factor(user)
      update(user, otp_required_for_login: false, otp_backup_codes: '{}')
      return if Release.before?('3.3.0')

      update(user, otp_secret: nil, encrypted_otp_secret: nil, encrypted_otp_secret_iv: nil, encrypted_otp_secret_salt: nil)
      Store.delete_from('webauthn_credentials', 'user_id = $1', [user['id']])
    end

    # @return [String] the new password, 32 hex digits
    def reset_password(user)
      SecureRandom.hex(16).tap do |password|
        update(user, encrypted_password: digest(password))
        end_sessions(user) if Release.since?('4.5.0')
      end
    end

    # From 4.5.0 a new password ends every session.
    def end_sessions(user)
      Store.delete_from('session_activations', 'user_id = $1', [user['id']])
      Store.delete_from('oauth_access_tokens', 'resource_owner_id = $1', [user['id']])
    end

    # Not bcrypt: a test can see which password was set.
    def digest(password)
      require 'digest'
      "standin$#{Digest::SHA256.hexdigest(password)}"
    end

    # @return [String, nil] the id of the role of exactly this name
    def role_id(name) = Store.value('SELECT id FROM user_roles WHERE name = $1', [name])

    def create(username, email, values)
      account_id = Store.insert('accounts', username: username, public_key: 'standin', private_key: 'standin',
                                            created_at: Time.now, updated_at: Time.now)
      password = SecureRandom.hex(16)
      Store.insert('users', { account_id: account_id, email: email, encrypted_password: digest(password),
                              created_at: Time.now, updated_at: Time.now }.merge(values))
      password
    end
  end
end
