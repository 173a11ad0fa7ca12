require 'fileutils'
require 'json'
require 'standin/faults'
require 'standin/release'

module Standin
  # Compiled assets: Sprockets' public/assets always, public/packs with webpacker (1.4.1) and Vite (4.4.0).
  module Assets
    module_function

    def folder(name) = File.join(Release.root, 'public', name)

    def packs? = Release.since?('1.4.1')

    def compile
      raise 'Compilation failed:' if Faults['STANDIN_ASSETS_FAIL'] || Faults['ASSETS_FAIL']

      puts 'Compiling...' if packs?
      write('assets', '.sprockets-manifest-standin.json')
      write('packs', manifest) if packs?
      puts "Compiled all packs in #{folder('packs')}" if packs?
    end

    def manifest = Release.since?('4.4.0') ? '.vite/manifest.json' : 'manifest.json'

    def write(name, file)
      path = File.join(folder(name), file)
      FileUtils.mkdir_p(File.dirname(path))
      File.write(path, JSON.generate('application.js' => "application-#{Time.now.to_i}.js"))
    end

    def clobber = FileUtils.rm_rf([folder('assets'), folder('packs')])

    def static_pages = FileUtils.mkdir_p(folder('assets')).then { File.write(File.join(folder('assets'), '500.html'), '<!doctype html>') }
  end
end
