import NIOCore
import Synchronization

/// A connection that is open, as its requests and other connections see it.
final class OpenConnection: Sendable {
    /// Lets a client that waits to be asked for its body send it.
    struct AskForBody: Sendable {}

    private struct State {
        var isGone = false
        var onGone: (@Sendable () -> Void)?
        /// What the requests hold whose heads have come in, and that nobody serves yet.
        var arrived: [HeldBytes] = []
        var serving: HeldBytes?
    }

    /// Marks what waits for a client that has begun something: it makes place after those that have not.
    private static let hasBegun: UInt64 = 1 << 63

    /// The connection of the request that is being served.
    @TaskLocal static var current: OpenConnection?

    let channel: any Channel
    /// What its requests hold, in bytes.
    let held = Atomic(0)
    /// Since when it waits for its client, in ns of the monotonic clock, and whether that has begun something; 0 while it does not.
    private let waiting: Atomic<UInt64>
    private let state = Mutex(State())

    init(_ channel: any Channel, now: NIODeadline) {
        self.channel = channel
        waiting = Atomic(now.uptimeNanoseconds)
    }

    /// Says what it waits for.
    func waits(_ wait: ConnectionState.Wait, now: NIODeadline) {
        let since =
            switch wait {
            case .none: 0 as UInt64
            case .forRequest: now.uptimeNanoseconds
            case .withinRequest: now.uptimeNanoseconds | Self.hasBegun
            }
        waiting.store(since, ordering: .relaxed)
    }

    /// The higher, the sooner others should have its place; `nil` while it does not wait for its client.
    var rank: UInt64? {
        let waiting = waiting.load(ordering: .relaxed)
        return waiting == 0 ? nil : .max - waiting
    }

    /// For how long its client has sent or taken nothing of a request; `nil` when that is not what it waits for.
    func stall(now: NIODeadline) -> TimeAmount? {
        let waiting = waiting.load(ordering: .relaxed)
        guard waiting & Self.hasBegun != 0 else { return nil }
        return now - .uptimeNanoseconds(waiting & ~Self.hasBegun)
    }

    /// A request's head has come in.
    func arrived(_ bytes: HeldBytes) {
        state.withLock { state in
            if !state.isGone { state.arrived.append(bytes) }
        }
    }

    /// The next request is served from now on.
    func serveNext() {
        state.withLock { state in
            state.onGone = nil
            state.serving = state.arrived.isEmpty ? nil : state.arrived.removeFirst()
        }
    }

    /// A request has been answered, whether or not its service has asked for what it holds.
    func answered(_ bytes: HeldBytes) {
        state.withLock { state in
            if state.serving === bytes { state.serving = nil }
            if state.arrived.first === bytes { state.arrived.removeFirst() }
        }
    }

    /// Nobody serves it any more: what its requests held is let go, which holds the connection itself.
    func ended() {
        state.withLock { state in
            state.serving = nil
            state.arrived = []
            state.onGone = nil
        }
    }

    /// What the request holds that is being served.
    var serving: HeldBytes? { state.withLock { $0.serving } }

    /// Tells a client that waits to be asked for its body to send it.
    func askForBody() { channel.triggerUserOutboundEvent(AskForBody(), promise: nil) }

    /// Its client has closed it, or will send nothing more.
    func clientHasGone() {
        let onGone = state.withLock { state in
            state.isGone = true
            state.arrived = []
            defer { state.onGone = nil }
            return state.onGone
        }
        onGone?()
    }

    /// Says how to end what lasts, such as a wait, when the client of the request that is served has gone.
    ///
    /// Hummingbird has the like, which reads ahead and so takes the connection's next request away.
    /// - Parameter end: Called at most once, now when the client has gone already.
    static func whenGone(_ end: @escaping @Sendable () -> Void) {
        guard let current else { return }
        let isGone = current.state.withLock { state in
            if !state.isGone { state.onGone = end }
            return state.isGone
        }
        if isGone { end() }
    }
}
