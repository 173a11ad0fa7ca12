require 'standin/faults'
require 'standin/http'
require 'standin/release'

module Standin
  # The streaming process: its health page exists from 2.5.0 on, metrics from 4.1.0 on.
  module Streaming
    def self.serve
      Http.serve(ENV.fetch('PORT', '4000').to_i, 'node ./streaming') { |request| answer(request) }
    end

    def self.answer(request)
      return [200, 'text/plain', "# HELP connected_clients clients\nconnected_clients 0\n"] if request.path == '/metrics' && Release.since?('4.1.0')
      return [404, 'application/json', '{"error":"Not Found"}'] unless request.path == '/api/v1/streaming/health' && Release.since?('2.5.0')

      Faults['STANDIN_UNHEALTHY'] == 'streaming' ? [500, 'text/plain', 'unhealthy'] : [200, 'text/plain', 'OK']
    end
  end
end
