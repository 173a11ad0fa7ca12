require 'securerandom'
require 'openssl'

module Standin
  # The generators of secrets, in each era's output.
  module Secrets
    NAMES = %w[DETERMINISTIC_KEY KEY_DERIVATION_SALT PRIMARY_KEY].map { |name| "ACTIVE_RECORD_ENCRYPTION_#{name}" }.freeze

    def self.hex = SecureRandom.hex(64)

    def self.print_vapid
      key = OpenSSL::PKey::EC.generate('prime256v1')
      puts "VAPID_PRIVATE_KEY=#{url_safe(key.private_key.to_s(2))}"
      puts "VAPID_PUBLIC_KEY=#{url_safe(key.public_key.to_bn.to_s(2))}"
    end

    # base64url with its padding, so that a reader splits at the first `=` only.
    def self.url_safe(bytes) = [bytes].pack('m0').tr('+/', '-_')

    # Prints nothing but a notice, and exits 0, where a key is set already (4.3.4 and later).
    def self.print_encryption
      return puts("Encryption secrets are set already.\nSet IGNORE_ALREADY_SET_SECRETS=true to make new ones.") if keep_present?

      warn_of_present if Release.has?('4.3.1', '4.3.4') && present?
      print_heading
      NAMES.each { |name| puts "#{name}=#{SecureRandom.alphanumeric(32)}" }
    end

    def self.present? = NAMES.any? { |name| !ENV[name].to_s.empty? }

    def self.keep_present? = Release.since?('4.3.4') && present? && ENV['IGNORE_ALREADY_SET_SECRETS'] != 'true'

    def self.warn_of_present = puts("\e[31mEncryption secrets are set already\e[0m")

    def self.print_heading
      puts "Put these into the environment of the server:#{' ' if Release.before?('4.4.0')}"
      puts
      puts '# Do NOT change these variables once they are set' if Release.since?('4.3.4')
    end
    private_class_method :url_safe, :present?, :keep_present?, :warn_of_present, :print_heading
  end
end
