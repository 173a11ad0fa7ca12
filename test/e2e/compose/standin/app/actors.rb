require 'openssl'
require 'standin/release'
require 'standin/store'

module Standin
  # What other servers see of a local account: its document and what it signs. And what a token opens.
  module Actors
    # Anything that other servers ask to be signed.
    TEXT = '(request-target): post /inbox'

    module_function

    # @return [Array, nil] status, type and body, where the path is one of these
    def page(request)
      case request.path
      when %r{\A/users/([^/]+)\z} then document(People.account(Regexp.last_match(1)))
      when %r{\A/ap/users/(\d+)\z} then document(by_id(Regexp.last_match(1)))
      when %r{\A/standin/sign/([^/]+)\z} then signed(People.account(Regexp.last_match(1)))
      when '/api/v1/accounts/verify_credentials' then credentials(request.headers['authorization'])
      end
    end

    def by_id(id) = Store.rows('SELECT * FROM accounts WHERE domain IS NULL AND id = $1', [id]).first

    def document(account)
      return [404, 'text/plain', 'Not found'] unless account

      json(200, id: uri(account), type: 'Person', preferredUsername: account['username'], inbox: "#{uri(account)}/inbox",
                publicKey: { id: "#{uri(account)}#main-key", owner: uri(account), publicKeyPem: keys(account)['public_key'] })
    end

    # From 4.5.0 an account's scheme decides: 1 is by id.
    def uri(account)
      account['id_scheme'] == '1' ? "https://#{domain}/ap/users/#{account['id']}" : "https://#{domain}/users/#{account['username']}"
    end

    def domain = ENV.fetch('LOCAL_DOMAIN', 'localhost')

    def signed(account)
      return [404, 'text/plain', 'Not found'] unless account

      key = OpenSSL::PKey::RSA.new(private_key(account))
      json(200, keyId: "#{uri(account)}#main-key", text: TEXT, signature: [key.sign('SHA256', TEXT)].pack('m0'))
    end

    def credentials(authorization)
      found = Store.rows('SELECT u.account_id FROM oauth_access_tokens t JOIN users u ON u.id = t.resource_owner_id
                          JOIN oauth_applications a ON a.id = t.application_id
                          WHERE t.token = $1 AND t.revoked_at IS NULL', [authorization.to_s.delete_prefix('Bearer ')]).first
      found ? json(200, id: found['account_id']) : json(401, error: 'The access token is invalid')
    end

    def json(status, body) = [status, 'application/json', JSON.generate(body)]

    # rake standin:keys gives every local account a key pair, where its release keeps it.
    def make_keys
      Store.rows('SELECT * FROM accounts WHERE domain IS NULL').each do |account|
        key = OpenSSL::PKey::RSA.new(1024)
        pair = { public_key: key.public_key.to_pem, private_key: apart? ? Sealed.seal(key.to_pem) : key.to_pem }
        next Store.update('accounts', account['id'], pair) unless apart?

        Store.insert('keypairs', { account_id: account['id'], type: 0, uri: "#{uri(account)}#main-key",
                                   created_at: Time.now, updated_at: Time.now }.merge(pair))
      end
    end

    # Local ones stand in a table of their own from 4.7.0 on.
    def apart? = Release.since?('4.7.0')

    def keys(account)
      return account unless apart?

      Store.rows('SELECT * FROM keypairs WHERE account_id = $1 AND NOT revoked', [account['id']]).first || {}
    end

    def private_key(account) = keys(account)['private_key'].then { |text| apart? ? Sealed.open(text) : text }
  end

  # Values that cannot be read without the encryption keys of the configuration.
  module Sealed
    module_function

    def seal(text)
      cipher = OpenSSL::Cipher.new('aes-256-gcm').encrypt
      cipher.key = key
      iv = cipher.random_iv
      [iv, cipher.update(text) + cipher.final, cipher.auth_tag].map { |part| [part].pack('m0') }.join(' ')
    end

    def open(sealed)
      iv, text, tag = sealed.split.map { |part| part.unpack1('m0') }
      cipher = OpenSSL::Cipher.new('aes-256-gcm').decrypt
      cipher.key = key
      cipher.iv = iv
      cipher.auth_tag = tag
      cipher.update(text) + cipher.final
    end

    def key = OpenSSL::Digest::SHA256.digest(ENV.fetch('ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY'))
  end
end
