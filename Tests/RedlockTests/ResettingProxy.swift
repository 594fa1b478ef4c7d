import Glibc
import NIOCore
import Synchronization
import TestSupport

/// Stands before a server, and passes everything on until it is told to break off.
final class ResettingProxy: Sendable {
    private final class Breaker: Sendable {
        let isArmed = Mutex(false)
    }

    private let proxy: TestProxy
    private let breaksOff = Breaker()

    /// Starts to listen.
    ///
    /// - Parameter port: Where the server listens, on this machine.
    /// - Throws: When no port can be listened on.
    init(to port: Int) async throws {
        proxy = try await TestProxy(to: port) { [breaksOff] piece in
            let breaks =
                !piece.isRequest
                && breaksOff.isArmed.withLock { armed in
                    defer { armed = false }
                    return armed
                }
            guard breaks, let start = piece.bytes.getSlice(at: piece.bytes.readerIndex, length: 1) else {
                return piece.pass()
            }
            let client = piece.to
            client.writeAndFlush(start).whenComplete { _ in
                let socket = client as? any SocketOptionProvider
                socket?.setSoLinger(linger(l_onoff: 1, l_linger: 0)).whenComplete { _ in client.close(promise: nil) }
            }
            piece.from.close(promise: nil)
        }
    }

    var url: String { proxy.url }

    /// Sends only the first byte of what the server says next, and a reset then.
    func resetInNextReply() { breaksOff.isArmed.withLock { $0 = true } }
}
