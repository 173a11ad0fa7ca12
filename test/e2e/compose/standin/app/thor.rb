require 'standin/release'

module Standin
  # The command line rules of tootctl's parser, with each era's streams and exit codes.
  module Thor
    Option = Struct.new(:name, :type, :default, :aliases, :first, :gone, :enum, :required)
    Command = Struct.new(:path, :usage, :first, :gone, :arity, :options, :action)
    Mistake = Class.new(StandardError)

    # @return [Array(Array<String>, Hash)] arguments, and options by name; what the command does not know stays an argument
    def self.parse(command, words)
      reader = Reader.new(command.options.select { |option| Release.has?(option.first, option.gone) })
      arguments, options = reader.read(words)
      check(command, arguments, options)
      [arguments, options]
    end

    def self.check(command, arguments, options)
      lacking = command.options.select { |option| option.required && !options.key?(option.name) }.map { |option| "'--#{option.name}'" }
      raise Mistake, "No value provided for required options #{lacking.join(', ')}" if lacking.any?
      return if command.arity.cover?(arguments.size)

      given = arguments.empty? ? 'no arguments' : "arguments #{arguments.inspect}"
      raise Mistake, "ERROR: \"tootctl #{command.path.last}\" was called with #{given}\nUsage: \"tootctl #{command.usage}\""
    end

    # Reads words left to right.
    class Reader
      def initialize(options)
        @options = options
      end

      def read(words)
        @words = words.dup
        @arguments = []
        @found = @options.reject { |option| option.default.nil? }.to_h { |option| [option.name, option.default] }
        take(@words.shift) until @words.empty?
        [@arguments, @found]
      end

      def take(word)
        return @arguments.push(word) unless word.start_with?('-') && word != '-'

        name, value = word.split('=', 2)
        option = named(name)
        option ? accept(option, name, value) : @arguments.push(word)
      end

      def named(name)
        @options.find { |option| ["--#{option.name}", *option.aliases].include?(name) || (option.type == :boolean && name == "--no-#{option.name}") }
      end

      def accept(option, name, value)
        return @found[option.name] = !name.start_with?('--no-') if option.type == :boolean

        value ||= @words.shift
        raise Mistake, "No value provided for option '#{name}'" if value.nil? || (value.start_with?('--') && option.type != :array)

        @found[option.name] = convert(option, value)
      end

      def convert(option, value)
        raise Mistake, "Expected '--#{option.name}' to be one of #{option.enum.join(', ')}; got #{value}" if enum_breaks?(option, value)
        return value unless option.type == :numeric
        raise Mistake, "Expected numeric value for '--#{option.name}'; got #{value.inspect}" unless value.match?(/\A-?\d+\z/)

        value.to_i
      end

      def enum_breaks?(option, value) = option.enum && !option.enum.include?(value)
    end
  end
end
