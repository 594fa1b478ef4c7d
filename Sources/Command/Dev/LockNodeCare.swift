import Foundation
import LocalStack

/// Looks after the lock nodes of `holdfast dev`.
///
/// One that ends ends nothing else: that the others are enough is what a lock on a quorum is for, and can be tried here.
/// Ended nodes are started again when that is asked for.
struct LockNodeCare: Sendable {
    private enum Event { case ended(RedisServer), revival }

    private let events: AsyncStream<Event>
    private let event: AsyncStream<Event>.Continuation

    init() { (events, event) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(100)) }

    /// Starts the nodes again that have ended.
    func revive() { event.yield(.revival) }

    /// Says which node ends, and what that means, until the task is cancelled.
    ///
    /// - Parameter nodes: Nodes that run; the first has the values too.
    func run(_ nodes: [RedisServer]) async {
        await withDiscardingTaskGroup { group in
            func watch(_ node: RedisServer) {
                group.addTask { [event] in
                    await node.process?.waitForExit()
                    if !Task.isCancelled { event.yield(.ended(node)) }
                }
            }
            for node in nodes { watch(node) }
            for await event in events {
                switch event {
                case .ended(let node):
                    say("The lock node \(node.url) has ended: \(Self.outlook(nodes))")
                case .revival:
                    for node in nodes where node.process?.isRunning != true {
                        do {
                            try await node.start()
                            say("The lock node \(node.url) is started again: \(Self.outlook(nodes))")
                            watch(node)
                        } catch {
                            say("The lock node \(node.url) is not started: \(error)")
                        }
                    }
                }
            }
            group.cancelAll()
        }
    }

    /// What goes on with the nodes that run.
    private static func outlook(_ nodes: [RedisServer]) -> String {
        let running = nodes.count { $0.process?.isRunning == true }
        guard running < nodes.count else { return "all \(nodes.count) vote." }
        let hasQuorum = running >= nodes.count / 2 + 1
        var parts = [
            "\(running) of \(nodes.count) \(hasQuorum ? "vote, and jobs run on" : "is no quorum, and jobs wait")"
        ]
        if nodes[0].process?.isRunning != true { parts.append("the values are on it, and none can be written") }
        parts.append("kill -USR1 \(ProcessInfo.processInfo.processIdentifier) starts it again")
        return parts.joined(separator: "; ") + "."
    }

    /// On standard error: standard output may be a script's.
    private func say(_ text: String) { Progress(isQuiet: false).say(text) }
}
