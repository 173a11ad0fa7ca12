require 'standin/release'

module Standin
  # What each era refuses to start without.
  module Boot
    ENCRYPTION_KEYS = %w[DETERMINISTIC_KEY KEY_DERIVATION_SALT PRIMARY_KEY]
                      .map { |name| "ACTIVE_RECORD_ENCRYPTION_#{name}" }.freeze

    # Reading the Rakefile needs RAILS_ENV from 3.3.0 on, and nothing else.
    def self.outline!
      refuse 'RAILS_ENV is not set: start with RAILS_ENV=production' if Release.since?('3.3.0') && blank?('RAILS_ENV')
    end

    # The whole application: every mandatory secret.
    def self.whole!
      outline!
      require_secret_key_base
      require_otp_secret
      require_encryption_keys
      refuse_redis_namespace
    end

    def self.production? = ENV.fetch('RAILS_ENV', 'development') == 'production'

    def self.blank?(name) = ENV[name].to_s.empty?

    def self.throw_away_keys? = Release.since?('4.3.0') && !blank?('SECRET_KEY_BASE_DUMMY')

    def self.require_secret_key_base
      return if !production? || throw_away_keys? || !blank?('SECRET_KEY_BASE')

      refuse "ArgumentError: Missing `secret_key_base` for 'production' environment"
    end

    # Mandatory from 2.3.0; 4.4.0 no longer asks. An empty value passes `fetch`.
    def self.require_otp_secret
      return unless Release.has?('2.3.0', '4.4.0') && production?

      refuse 'KeyError: key not found: "OTP_SECRET"' unless ENV.key?('OTP_SECRET')
    end

    # 4.3.0 accepted an empty value, 4.3.1 and later do not.
    def self.require_encryption_keys
      return if Release.before?('4.3.0') || throw_away_keys?

      missing = ENCRYPTION_KEYS.select { |name| Release.since?('4.3.1') ? blank?(name) : !ENV.key?(name) }
      refuse "Active Record encryption is not configured, missing: #{missing.join(', ')}" if missing.any?
      sample = ENCRYPTION_KEYS.find { |name| ENV[name].end_with?('DO_NOT_USE_IN_PRODUCTION') }
      refuse "#{sample} holds a sample value that is not for production" if sample && production?
    end

    def self.refuse_redis_namespace
      return if Release.before?('4.4.0') || blank?('REDIS_NAMESPACE')

      refuse 'ERROR: REDIS_NAMESPACE is no longer supported'
    end

    def self.refuse(message) = abort(message)
    private_class_method :require_secret_key_base, :require_otp_secret, :require_encryption_keys,
                         :refuse_redis_namespace, :refuse, :throw_away_keys?
  end
end
