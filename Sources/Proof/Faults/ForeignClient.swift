import FaultChecking
import Foundation
import Holdfast
import LocalStack
import Randomness
import Redis
import Synchronization

/// A Redlock client that is not Holdfast: it locks keys by plain commands, and looks whether its locks are left alone.
final class ForeignClient: Sendable {
    private static let ttl = 2500
    private static let releaseScript =
        "if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('del', KEYS[1]) end return 0"

    private let nodes: [RedisNode]
    private let servers: [RedisServer]
    private let injector: Injector
    private let held = Mutex<[ForeignHold]>([])

    init(_ system: FaultSystem, _ injector: Injector) throws {
        servers = system.lockNodes
        nodes = try servers.map { RedisNode(try RedisEndpoint($0.url), logger: .quiet) }
        self.injector = injector
    }

    var holds: [ForeignHold] { held.withLock { $0 } }

    /// Locks one key after the other until the task is cancelled.
    func run(_ seed: SeededRandom) async {
        await withDiscardingTaskGroup { group in
            for node in nodes { group.addTask { await node.run() } }
            var random = seed
            for number in 0... {
                let key = "key-\(Int.random(in: 0..<4, using: &random))-\(Int.random(in: 0..<3, using: &random))"
                let stay = Duration.milliseconds(Int.random(in: 200...1500, using: &random))
                await lock(key, token: "foreign-\(number)", for: stay)
                do { try await Task.sleep(for: .milliseconds(300)) } catch { break }
            }
            group.cancelAll()
        }
    }

    private func lock(_ key: String, token: String, for stay: Duration) async {
        // It knows no quarantine, as plain clients don't: a node that forgot its locks could make it a second holder.
        guard Monotonic.nanoseconds - injector.lastForgetting > 6_000_000_000 else { return }
        let start = Monotonic.nanoseconds
        let processes = servers.map { $0.process?.pid }
        var granted: [Int] = []
        for (index, node) in nodes.enumerated() {
            let set = RedisCommand("SET", "locks:\(key)", token, "NX", "PX", "\(Self.ttl)")
            // A node that does not answer has no vote.
            if let reply = try? await node.send(set, within: .milliseconds(200)), case .simple = reply {
                granted.append(index)
            }
        }
        let from = Monotonic.nanoseconds
        if granted.count > nodes.count / 2, from - start < 500_000_000 {
            try? await Task.sleep(for: stay)  // Cancelled: it looks and releases at once.
            let until = Monotonic.nanoseconds
            var robbed: [String] = []
            for index in granted {
                // What cannot be asked tells nothing.
                guard
                    let reply = try? await nodes[index].send(
                        RedisCommand("GET", "locks:\(key)"),
                        within: .milliseconds(200)
                    ),
                    Monotonic.nanoseconds - start < Int64(Self.ttl) * 950_000,
                    processes[index] == servers[index].process?.pid
                else { continue }
                if reply.string != token { robbed.append("lock node \(index + 1)") }
            }
            if until - start < Int64(Self.ttl) * 950_000, injector.lastForgetting < start {
                let hold = ForeignHold(key: key, fromNanoseconds: from, untilNanoseconds: until, robbedOn: robbed)
                held.withLock { $0.append(hold) }
            }
        }
        for node in nodes {
            let release = RedisCommand("EVAL", Self.releaseScript, "1", "locks:\(key)", token)
            _ = try? await node.send(release, within: .milliseconds(200))  // Its time to live ends it.
        }
    }
}
