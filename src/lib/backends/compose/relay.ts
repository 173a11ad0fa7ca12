/** Where a server listens, as seen from inside of a container. */
export type Endpoint = { host: string; port: number } | { socket: string }

/** A program inside of a container that joins its standard streams with a server. */
export interface Relay {
  name: string
  /** Whether it reaches unix sockets. */
  sockets: boolean
  argv(endpoint: Endpoint): string[]
}

const SLIM_RUBY =
  't,a,p=ARGV;s=t=="unix"?UNIXSocket.new(a):TCPSocket.new(a,p.to_i);STDOUT.sync=true;' +
  'Thread.new{begin;IO.copy_stream(STDIN,s);ensure;exit!(0);end};' +
  'loop{STDOUT.write(s.readpartial(65536))}rescue exit!(0)'

const PYTHON = `import os,socket,sys,select
t,a,p=(sys.argv+[""])[1:4]
s=socket.socket(socket.AF_UNIX) if t=="unix" else socket.create_connection((a,int(p)))
if t=="unix": s.connect(a)
while True:
    for r in select.select([0,s],[],[])[0]:
        d=os.read(0,65536) if r==0 else s.recv(65536)
        if not d: os._exit(0)
        if r==0: s.sendall(d)
        else:
            while d: d=d[os.write(1,d):]`

const PERL = `use strict;use IO::Socket::INET;use IO::Socket::UNIX;use IO::Select;
my($t,$a,$p)=@ARGV;
my $s=$t eq "unix"?IO::Socket::UNIX->new(Peer=>$a):IO::Socket::INET->new(PeerAddr=>$a,PeerPort=>$p);
die "no connection to $a: $!\\n" unless $s;
my $l=IO::Select->new(\\*STDIN,$s);
sub all{my($f,$d)=@_;while(length $d){my $n=syswrite($f,$d);exit 0 unless defined $n;substr($d,0,$n)=""}}
while(1){for my $r($l->can_read){my $n=sysread($r,my $d,65536);exit 0 unless $n;
if($r==$s){all(\\*STDOUT,$d)}else{all($s,$d)}}}`

/**
 * Ends itself when its input ends, also while the server is silent: otherwise a killed client would leave an idle
 * session behind. `cat &` without `<&4` would read /dev/null.
 */
const BASH = 'exec 3<>"/dev/tcp/$1/$2" 4<&0; { cat <&4 >&3; kill $$; } >/dev/null 2>&1 & exec cat <&3'

/** Safest first: the first five end with their input by themselves; netcat leaves that to the server's answer. */
export const RELAYS: readonly Relay[] = [
  { name: 'bash', sockets: false, argv: to => ['bash', '-c', BASH, 'relay', ...address(to)] },
  { name: 'ruby', sockets: true, argv: to => ['ruby', '-rsocket', '-e', SLIM_RUBY, ...typed(to)] },
  { name: 'python3', sockets: true, argv: to => ['python3', '-c', PYTHON, ...typed(to)] },
  { name: 'perl', sockets: true, argv: to => ['perl', '-e', PERL, ...typed(to)] },
  { name: 'socat', sockets: true, argv: to => ['socat', '-t', '1', '-', socatAddress(to)] },
  {
    name: 'nc-openbsd',
    sockets: true,
    argv: to => ['nc', '-N', ...('socket' in to ? ['-U', to.socket] : address(to))],
  },
  { name: 'nc-busybox', sockets: false, argv: to => ['nc', ...address(to)] },
  { name: 'busybox', sockets: false, argv: to => ['busybox', 'nc', ...address(to)] },
]

/** Prints the name of each relay that the container has. Netcat's kinds differ in what they do when the input ends. */
export const PROBE = [
  'sh',
  '-c',
  [
    'for p in bash ruby python3 socat; do command -v "$p" >/dev/null 2>&1 && echo "$p"; done',
    'command -v perl >/dev/null 2>&1 && perl -MIO::Socket::UNIX -MIO::Select -e 1 2>/dev/null && echo perl',
    'if command -v nc >/dev/null 2>&1; then case "$(nc -h 2>&1)" in *BusyBox*) echo nc-busybox;; *-N*) echo nc-openbsd;; esac; fi',
    'busybox nc --help 2>&1 | grep -q BusyBox && echo busybox',
    'exit 0',
  ].join('\n'),
] as const

/** Returns the safest relay of those named in the probe's answer that reaches the endpoint. */
export function chooseRelay(probed: string, endpoint: Endpoint): Relay | undefined {
  const present = probed.split('\n').map(line => line.trim())
  return RELAYS.find(relay => present.includes(relay.name) && (relay.sockets || !('socket' in endpoint)))
}

function address(to: Endpoint): string[] {
  return 'socket' in to ? [to.socket] : [to.host, String(to.port)]
}

function typed(to: Endpoint): string[] {
  return 'socket' in to ? ['unix', to.socket] : ['tcp', to.host, String(to.port)]
}

function socatAddress(to: Endpoint): string {
  if ('socket' in to) return `UNIX-CONNECT:${to.socket}`
  return `TCP:${to.host.includes(':') ? `[${to.host}]` : to.host}:${to.port},nodelay`
}
