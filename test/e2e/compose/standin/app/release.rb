# Which Mastodon this image plays, and the questions that its era answers.
module Standin
  module Release
    FILE = '/usr/local/lib/standin/VERSION'

    # @return [String] e.g. "4.5.3", written when the image is built
    def self.to_s = @text ||= File.read(FILE).strip

    # @return [Boolean] whether this release is the named one or a later one
    def self.since?(release) = (numbers(to_s) <=> numbers(release)) >= 0

    def self.before?(release) = !since?(release)

    # `first` is the first release that has the thing, `gone` the first that no longer has it.
    def self.has?(first, gone = nil) = since?(first) && (gone.nil? || before?(gone))

    def self.numbers(text) = text[/\d+\.\d+\.\d+/].split('.').map(&:to_i)
    private_class_method :numbers

    # WORKDIR moved in 2.8.0.
    def self.root = since?('2.8.0') ? '/opt/mastodon' : '/mastodon'
  end
end
