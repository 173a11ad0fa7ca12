import { connect, createServer, type Server } from 'node:net'
import { Duplex } from 'node:stream'

/** A byte stream that is no socket, as a relay through a container is one. */
export function relayTo(port: number, onReply: (chunk: Buffer) => Buffer = chunk => chunk): Duplex {
  const socket = connect(port, '127.0.0.1')
  const relay = new Duplex({
    read() {},
    write: (chunk, _encoding, done) => void socket.write(chunk, () => done()),
    final: done => void socket.end(() => done()),
    destroy: (error, done) => {
      socket.destroy()
      done(error)
    },
  })
  socket.on('data', chunk => relay.push(onReply(chunk)))
  socket.on('end', () => relay.push(null))
  socket.on('error', error => relay.destroy(error))
  return relay
}

/** Starts a server that answers every connection's first bytes with these and does what `then` says. */
export async function answering(
  bytes: string | Buffer,
  then: 'close' | 'wait',
): Promise<{ port: number; server: Server }> {
  const server = createServer(socket => {
    socket.on('error', () => {})
    socket.once('data', () => (then === 'close' ? socket.end(bytes) : socket.write(bytes)))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return { port: (server.address() as { port: number }).port, server }
}
