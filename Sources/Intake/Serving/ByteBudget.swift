import Synchronization

/// How many bytes of requests and answers this process may hold: what is being read or parsed, waits to be stored, or for its
/// client to take it.
///
/// Without one, each limit of its own is kept and their product is not: some thousand connections, each with a body that is
/// no larger than it may be, are more than any machine has.
final class ByteBudget: Sendable {
    enum Verdict {
        case fits
        /// There is room for this, and those that let others wait should make place for what comes next.
        case isCrowded
        case isTooMuch
    }

    /// The most bytes; a quarter more while place is being made.
    let limit: Int
    private let used = Atomic(0)

    init(limit: Int) { self.limit = limit }

    /// How many bytes are held.
    var taken: Int { used.load(ordering: .relaxed) }

    /// Takes bytes, unless they are too much.
    func take(_ count: Int) -> Verdict {
        let taken = used.add(count, ordering: .relaxed).newValue
        if taken <= limit { return .fits }
        if taken <= limit + limit / 4 { return .isCrowded }
        giveBack(count)
        return .isTooMuch
    }

    func giveBack(_ count: Int) { used.subtract(count, ordering: .relaxed) }
}

/// What one request holds of the ``ByteBudget``; it is given back when its answer has been sent, or its client has gone.
final class HeldBytes: Sendable {
    /// There is no room for more.
    struct TooMuch: Error {}

    /// What is not worth being counted again: a part of ``perRequest``.
    static let small = 16 << 10
    /// What a request takes besides its body: its head, its task, and what is made of it.
    static let perRequest = 2 << 10

    private let connections: ConnectionTable
    private let connection: OpenConnection
    private let own = Atomic(0)

    init(_ connection: OpenConnection, of connections: ConnectionTable) {
        self.connection = connection
        self.connections = connections
    }

    deinit { giveBack(count) }

    var count: Int { own.load(ordering: .relaxed) }

    /// Takes bytes as they come.
    ///
    /// - Throws: ``TooMuch``.
    func take(_ count: Int) throws(TooMuch) {
        guard connections.take(count) else { throw TooMuch() }
        own.add(count, ordering: .relaxed)
        connection.held.add(count, ordering: .relaxed)
    }

    /// Gives back what is let go before the answer.
    func giveBack(_ count: Int) {
        own.subtract(count, ordering: .relaxed)
        connection.held.subtract(count, ordering: .relaxed)
        connections.budget.giveBack(count)
    }
}
