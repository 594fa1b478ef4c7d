import Foundation
import Synchronization

/// Writes the lines of the log to a descriptor on a thread of its own: a reader that has stopped reading stops nothing else.
///
/// What does not fit into a bounded buffer meanwhile is dropped and counted, and that is said once lines flow again.
final class LineWriter: Sendable {
    /// Everything that logs in this process goes through this one.
    static let standardError = LineWriter(STDERR_FILENO)

    /// How long the end of the process may wait for the last lines.
    private static let patience: Duration = .seconds(1)

    private struct State {
        var lines: [[UInt8]] = []
        var bytes = 0
        var isWriting = false
        /// Since that was last said.
        var dropped = 0
        var allDropped = 0
    }

    private let descriptor: Int32
    private let capacity: Int
    private let state = Mutex(State())
    private let queue = DispatchQueue(label: "log")

    /// - Parameters:
    ///   - descriptor: Where to; it stays open.
    ///   - capacity: How many bytes may wait, besides as many that are being written; default 1 MiB.
    init(_ descriptor: Int32, capacity: Int = 1 << 20) {
        self.descriptor = descriptor
        self.capacity = capacity
    }

    /// How many lines have been dropped.
    var dropped: Int { state.withLock { $0.allDropped } }

    /// Writes a line, which ends with a line break, as soon as those before it are written; never waits.
    func write(_ line: String) {
        let bytes = Array(line.utf8)
        let isFirst = state.withLock { state in
            guard state.bytes + bytes.count <= capacity else {
                state.dropped += 1
                state.allDropped += 1
                return false
            }
            state.lines.append(bytes)
            state.bytes += bytes.count
            defer { state.isWriting = true }
            return !state.isWriting
        }
        if isFirst { queue.async { self.writeAll() } }
    }

    /// Waits until all lines are written, for a second at most.
    func flush() {
        let end = ContinuousClock.now + Self.patience
        while state.withLock({ $0.isWriting }), .now < end { usleep(1000) }
    }

    private func writeAll() {
        while let (lines, dropped) = next() {
            for line in lines { writeWhole(line) }
            // Where they are missing: behind those that waited when there was no place left.
            guard dropped > 0 else { continue }
            writeWhole(Array("\(dropped) lines of the log were dropped: its reader was too slow\n".utf8))
        }
    }

    /// What waits; `nil` when nothing does, and whoever writes next begins anew.
    private func next() -> (lines: [[UInt8]], dropped: Int)? {
        state.withLock { state in
            guard !state.lines.isEmpty else {
                state.isWriting = false
                return nil
            }
            defer { (state.lines, state.bytes, state.dropped) = ([], 0, 0) }
            return (state.lines, state.dropped)
        }
    }

    /// One write where that is possible, so that lines of several processes don't mix.
    private func writeWhole(_ line: [UInt8]) {
        var rest = line[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if errno == EAGAIN {
                // Somebody else has made it non-blocking.
                var target = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&target, 1, -1)
            } else if errno != EINTR {
                return  // Its reader has gone for good.
            }
        }
    }
}
