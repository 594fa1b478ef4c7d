import Foundation

/// A client's socket, byte by byte; its calls block a thread of their own, not the tests' pool.
final class RawConnection: Sendable {
    struct Broken: Error, CustomStringConvertible { let description: String }

    private let descriptor: Int32
    private let queue = DispatchQueue(label: "raw connection")

    /// Connects to a port of this machine.
    init(_ port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        Self.limitWaiting(descriptor)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else { throw Broken(description: "cannot connect: \(String(cString: strerror(errno)))") }
    }

    deinit { close(descriptor) }

    /// Ends what waits longer for the other side than any test should.
    private static func limitWaiting(_ descriptor: Int32) {
        var limit = timeval(tv_sec: 120, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    /// Lets this process open so many files.
    static func allow(_ count: Int) throws {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        guard limit.rlim_cur < rlim_t(count + 512) else { return }
        limit.rlim_cur = min(limit.rlim_max, rlim_t(count + 512))
        guard setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0, limit.rlim_cur >= rlim_t(count + 512)
        else { throw Broken(description: "this machine allows \(limit.rlim_cur) open files; raise it (ulimit -n)") }
    }

    func send(_ text: String) async throws { try await send(bytes: Array(text.utf8)) }

    func send(bytes: [UInt8]) async throws {
        // A server that has answered already may have closed: what it said is still to be read.
        _ = await onQueue { [descriptor] in
            var bytes = bytes[...]
            while !bytes.isEmpty {
                let count = bytes.withUnsafeBytes {
                    Foundation.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else { return false }
                bytes = bytes.dropFirst(count)
            }
            return true
        }
    }

    func post(_ path: String, _ body: String) async throws {
        try await send("POST \(path) HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
    }

    /// Gets something that answers 200 and ends in a line break.
    func get(_ path: String) async throws {
        try await send("GET \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n")
        let answer = try await receive(until: "ok\n")
        guard answer.contains("200 OK") else { throw Broken(description: answer) }
    }

    /// What comes, up to `end`.
    func receive(until end: String) async throws -> String {
        var text = ""
        while !text.contains(end) {
            guard let more = await receiveSome() else { throw Broken(description: "closed after: \(text)") }
            text += more
        }
        return text
    }

    /// What comes until the other side closes or resets.
    func receiveToEnd() async throws -> String {
        var text = ""
        while let more = await receiveSome() { text += more }
        return text
    }

    private func receiveSome() async -> String? {
        await onQueue { [descriptor] in
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let count = recv(descriptor, &buffer, buffer.count, 0)
            return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
        }
    }

    private func onQueue<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in queue.async { continuation.resume(returning: body()) } }
    }
}
