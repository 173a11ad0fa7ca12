require 'socket'
require 'json'

module Standin
  # A very small HTTP server: one thread for each connection, one request on each.
  module Http
    Request = Struct.new(:method, :path, :headers, :body)
    REASONS = { 200 => 'OK', 302 => 'Found', 301 => 'Moved Permanently', 401 => 'Unauthorized', 403 => 'Forbidden', 404 => 'Not Found', 500 => 'Internal Server Error' }.freeze

    def self.serve(port, title)
      server = TCPServer.new('0.0.0.0', port)
      # The title is what `ps` and pg_stat_activity show.
      $0 = title
      stop_on_signals
      puts "#{title}: listening on port #{port}"
      loop { Thread.new(server.accept) { |socket| answer(socket) { |request| yield request } } }
    end

    def self.stop_on_signals
      %w[TERM INT].each { |name| trap(name) { exit!(0) } }
    end

    def self.answer(socket)
      request = read(socket)
      write(socket, *yield(request)) if request
    rescue IOError, SystemCallError
      nil
    ensure
      socket.close
    end

    def self.read(socket)
      method, path, = socket.gets.to_s.split
      return unless path

      headers = {}
      while (line = socket.gets.to_s.chomp) && !line.empty?
        name, value = line.split(':', 2)
        headers[name.downcase] = value.to_s.strip
      end
      Request.new(method, path.split('?').first, headers, socket.read(headers['content-length'].to_i))
    end

    def self.write(socket, status, type, body, more = {})
      headers = { 'Content-Type' => "#{type}; charset=utf-8", 'Content-Length' => body.bytesize, 'Connection' => 'close' }.merge(more)
      socket.write("HTTP/1.1 #{status} #{REASONS[status]}\r\n#{headers.map { |name, value| "#{name}: #{value}\r\n" }.join}\r\n#{body}")
    end
  end
end
