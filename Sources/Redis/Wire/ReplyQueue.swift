import DequeModule

/// The sends of one connection that wait for replies, oldest first.
///
/// Replies come in the order of the commands, and nothing else ties one to the other. So a place is kept until all its
/// replies are in, whether or not anyone still waits at it.
package struct ReplyQueue<Waiter>: ~Copyable {
    /// What to do with a reply that came in.
    package enum Action {
        /// It was the only reply the waiter expected.
        case resume(Waiter, RedisReply)
        /// It was the last reply of a batch: all of them, in the commands' order.
        case resumeBatch(Waiter, [RedisReply])
        /// More are to come for the same waiter; it is kept until then.
        case wait
        /// Nobody waits for it any more.
        case drop
        /// It answers no command: nothing that follows on this connection can be matched.
        case close
    }

    /// Names a place for as long as it is in the queue.
    package struct Ticket: Sendable, Hashable {
        fileprivate let number: Int
    }

    private struct Place {
        var waiter: Waiter?
        var owed: Int
        let isBatch: Bool
        var replies: [RedisReply] = []
    }

    private var places: Deque<Place> = []
    /// The number of the oldest place.
    private var firstNumber = 0
    /// How many replies are still to come, for waiters and for empty places.
    package private(set) var owed = 0
    /// How many places there are, empty ones included.
    package var count: Int { places.count }

    /// Makes the queue of a new connection.
    package init() {}

    /// Adds a place for the reply to one command.
    package mutating func append(_ waiter: Waiter) -> Ticket {
        append(Place(waiter: waiter, owed: 1, isBatch: false))
    }

    /// Adds a place for the replies to a batch of `count` commands, at least one.
    package mutating func append(_ waiter: Waiter, batchOf count: Int) -> Ticket {
        precondition(count > 0, "an empty batch has no reply to wait for")
        return append(Place(waiter: waiter, owed: count, isBatch: true))
    }

    private mutating func append(_ place: Place) -> Ticket {
        places.append(place)
        owed += place.owed
        return Ticket(number: firstNumber + places.count - 1)
    }

    /// Says whose reply this is.
    package mutating func received(_ reply: RedisReply) -> Action {
        guard !places.isEmpty else { return .close }
        owed -= 1
        places[0].owed -= 1
        // A send whose deadline passed keeps its place, or the next one would get its replies.
        let isWaitedFor = places[0].waiter != nil
        if places[0].isBatch, isWaitedFor { places[0].replies.append(reply) }
        guard places[0].owed == 0 else { return isWaitedFor ? .wait : .drop }
        let place = places.removeFirst()
        firstNumber += 1
        guard let waiter = place.waiter else { return .drop }
        return place.isBatch ? .resumeBatch(waiter, place.replies) : .resume(waiter, reply)
    }

    /// Empties a place, which stays in the queue.
    ///
    /// - Returns: Who waited there; `nil` when all its replies are in, or when it was empty.
    package mutating func abandon(_ ticket: Ticket) -> Waiter? {
        let index = ticket.number - firstNumber
        guard places.indices.contains(index) else { return nil }
        places[index].replies = []
        return places[index].waiter.take()
    }

    /// Empties the places of those for whom `isOver` holds, and gives back who waited there, oldest first.
    package mutating func abandon(where isOver: (Waiter) -> Bool) -> [Waiter] {
        var abandoned: [Waiter] = []
        for index in places.indices {
            guard let waiter = places[index].waiter, isOver(waiter) else { continue }
            abandoned.append(waiter)
            places[index].waiter = nil
            places[index].replies = []
        }
        return abandoned
    }

    /// Takes all places away, because their connection is gone, and gives back who waited, oldest first.
    package mutating func removeAll() -> [Waiter] {
        let waiters = places.compactMap(\.waiter)
        firstNumber += places.count
        places = []
        owed = 0
        return waiters
    }
}
