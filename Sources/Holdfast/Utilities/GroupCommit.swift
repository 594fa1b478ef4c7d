import DequeModule
import Synchronization

/// More is waiting than there may be.
package struct GroupCommitFull: Error, CustomStringConvertible {
    package var description: String { "too much is waiting to be stored already; try again later" }
}

/// Joins concurrent calls into batches: one goes when one before it has come back, with all that came meanwhile.
///
/// There is no timer, so a lone call is not delayed. Whoever finds fewer batches under way than there may be leads: it
/// performs the batch that begins with its own item, and hands the lead to the first that still waits.
/// - Source: group commit, as databases have it: DeWitt et al., "Implementation Techniques for Main Memory Database
///   Systems", 1984.
package final class GroupCommit<Item: Sendable, Output: Sendable>: Sendable {
    private enum Turn: Sendable {
        case done(Result<Output, any Error>)
        case lead
    }

    private struct Waiter: Sendable {
        let item: Item
        let weight: Int
        let continuation: CheckedContinuation<Turn, Never>
    }

    private struct State {
        var leaders = 0
        var waiting: Deque<Waiter> = []
        var weight = 0

        mutating func popFirst() -> Waiter? {
            let first = waiting.popFirst()
            weight -= first?.weight ?? 0
            return first
        }
    }

    private let state = Mutex(State())
    private let waitingLimit: Int
    private let batchLimit: Int
    private let inFlightLimit: Int
    private let weight: @Sendable (Item) -> Int
    private let perform: @Sendable ([Item]) async throws -> [Output]
    private let metrics: BatchMetrics

    /// - Parameters:
    ///   - name: What its batches are counted as.
    ///   - waitingLimit: The weight of the items that may wait for a batch; more are refused.
    ///   - batchLimit: The weight of the items in one batch; one item goes whatever it weighs.
    ///   - inFlightLimit: How many batches may be under way at once; with more than one, an item may be done before one that
    ///     came earlier.
    ///   - weight: Of an item; each weighs 1 unless said otherwise.
    ///   - perform: Does a batch, within a deadline of its own; one output for each item, in the items' order. It is not
    ///     cancelled when a caller is: it works for the others too.
    package init(
        _ name: String,
        waitingLimit: Int,
        batchLimit: Int,
        inFlightLimit: Int = 1,
        weight: @escaping @Sendable (Item) -> Int = { _ in 1 },
        perform: @escaping @Sendable ([Item]) async throws -> [Output]
    ) {
        self.waitingLimit = waitingLimit
        self.batchLimit = batchLimit
        self.inFlightLimit = inFlightLimit
        self.weight = weight
        self.perform = perform
        metrics = BatchMetrics(name)
    }

    /// How many items wait for a batch, and what they weigh.
    package var waiting: (count: Int, weight: Int) { state.withLock { ($0.waiting.count, $0.weight) } }

    /// Adds an item to the next batch, and waits for that to be done.
    ///
    /// - Parameter item: What is to be done.
    /// - Returns: The item's output.
    /// - Throws: ``GroupCommitFull``, or what the batch threw.
    package func submit(_ item: Item) async throws -> Output {
        switch await nextTurn(item) {
        case .done(let result): try result.get()
        case .lead: try await lead(item)
        }
    }

    private func lead(_ item: Item) async throws -> Output {
        let others = takeOthers(besides: weight(item))
        let items = [item] + others.map(\.item)
        let result = await Task { [perform, metrics] in
            let outputs = try await metrics.measuring(items.count) { try await perform(items) }
            precondition(outputs.count == items.count, "one output for each item")
            return outputs
        }.result
        handOver()
        for (index, other) in others.enumerated() {
            other.continuation.resume(returning: .done(result.map { $0[index + 1] }))
        }
        return try result.get()[0]
    }

    private func takeOthers(besides weight: Int) -> [Waiter] {
        state.withLock { state in
            var others: [Waiter] = []
            var total = weight
            while let next = state.waiting.first, total + next.weight <= batchLimit {
                total += next.weight
                others.append(next)
                _ = state.popFirst()
            }
            return others
        }
    }

    private func nextTurn(_ item: Item) async -> Turn {
        let weight = weight(item)
        return await withCheckedContinuation { continuation in
            // Judged and added in one step: of many who come at once, no more than fit may find room.
            let turn: Turn? = state.withLock { state in
                guard state.leaders == inFlightLimit else {
                    state.leaders += 1
                    return .lead
                }
                guard state.weight + weight <= waitingLimit else { return .done(.failure(GroupCommitFull())) }
                state.waiting.append(Waiter(item: item, weight: weight, continuation: continuation))
                state.weight += weight
                return nil
            }
            if let turn { continuation.resume(returning: turn) }
        }
    }

    private func handOver() {
        let next = state.withLock { state in
            let next = state.popFirst()
            if next == nil { state.leaders -= 1 }
            return next
        }
        next?.continuation.resume(returning: .lead)
    }
}
