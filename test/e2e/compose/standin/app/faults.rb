require 'standin/release'

module Standin
  # Faults that a test asks for: from the environment, or from public/system/standin-faults
  # (lines NAME=value), which lies on the volume that all app containers share.
  #
  #   STANDIN_FAIL_MIGRATION=<id>            that migration raises inside its transaction
  #   STANDIN_SLEEP_MIGRATION=<id>:<seconds> that migration sleeps in SQL first
  #   STANDIN_ASSETS_FAIL=1                  assets:precompile fails
  #   STANDIN_UNHEALTHY=web|streaming        the health page answers 500
  #   STANDIN_BOOT_SECONDS=<n>               every Rails command takes so long to boot
  module Faults
    FILE = 'public/system/standin-faults'

    def self.[](name) = (from_file[name] || ENV[name]).to_s.then { |text| text.empty? ? nil : text }

    def self.from_file
      path = File.join(Release.root, FILE)
      return {} unless File.file?(path)

      File.readlines(path, chomp: true).grep(/=/).to_h { |line| line.split('=', 2) }
    end
    private_class_method :from_file
  end
end
