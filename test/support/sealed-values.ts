/**
 * Values that were sealed by the real thing, on Ruby 3.1: `ActiveRecord::Encryption.encryptor.encrypt` of activerecord
 * 7.1.6, with the digest of the defaults of 7.1 and of before, of a short text and of one that Rails compresses.
 */
export const PRIMARY = 'PrimaryKeyOfTheTestsOfMstdnOps01'
export const SALT = 'SaltOfTheTestsOfMstdnOpsXXXXXX01'
export const RAILS = {
  sha256:
    '{"p":"yLxCVnLVFyy8W1WP6JqNtB9dB1/lPVsVo/4j/2RLUig=","h":{"iv":"NrtKQaEfbfyodKPo","at":"2ujKVor4wKZ9ta3nGtiKeg=="}}',
  compressed:
    '{"p":"U2vshwQDWw4KAMD0MlisLwJLBR0unSzcHTVxUxRKHF1BDGqr+588Em6j","h":{"iv":"dk2YaReAPuUnnfRP","at":"jkHYF8qRky68D0yCqbNLow==","c":true}}',
  sha1: '{"p":"O92zCj57t3J0fgLNnuD+CxLdlFeooMBhsQ+j625R+P8=","h":{"iv":"C9EAoOKyW8e1I+Zf","at":"0YQH/T7wDbdlSF9OLmITTw=="}}',
} as const

/** AES-256-GCM of Ruby's OpenSSL in the columns' form: line ends of Ruby's base64, and `_` in front of the salt. */
export const OTP = 'an-otp-secret-of-the-tests'.repeat(4)
export const LEGACY = {
  secret: '8+x3f3qnOq2bFcgD71Bk7I+lkal5/+Q+7BGLpMK/Z2tnW4C+R+Ie4OnO\n',
  iv: 'tXQFXJ5iFVEAvqBf\n',
  salt: '_MDEyMzQ1Njc4OWFiY2RlZg==\n',
} as const
