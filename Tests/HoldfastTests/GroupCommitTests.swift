import Holdfast
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1)))
struct GroupCommitTests {
    private struct Failure: Error {}

    /// Does batches as the test says.
    private final class Performer: Sendable {
        /// A batch that was begun, and waits for the test.
        struct Batch: Sendable {
            let items: [Int]
            let isCancelled: Bool
            fileprivate let end: CheckedContinuation<[String], any Error>

            func succeed() { end.resume(returning: items.map { "done \($0)" }) }
            func fail() { end.resume(throwing: Failure()) }
        }

        private let batches: AsyncStream<Batch>
        private let batch: AsyncStream<Batch>.Continuation

        init() { (batches, batch) = AsyncStream.makeStream() }

        func perform(_ items: [Int]) async throws -> [String] {
            try await withCheckedThrowingContinuation { end in
                batch.yield(Batch(items: items, isCancelled: Task.isCancelled, end: end))
            }
        }

        /// Waits until the next batch is begun.
        func next() async -> Batch? {
            for await batch in batches { return batch }
            return nil
        }
    }

    /// What became of a call.
    private struct Return: Sendable {
        let item: Int
        let result: Result<String, any Error>

        var output: String? { try? result.get() }  // An error is looked at by `error`.
        var error: (any Error)? { if case .failure(let error) = result { error } else { nil } }
    }

    private let performer = Performer()

    private func makeCommit(
        waitingLimit: Int,
        batchLimit: Int,
        weight: @escaping @Sendable (Int) -> Int = { _ in 1 }
    ) -> GroupCommit<Int, String> {
        GroupCommit("test", waitingLimit: waitingLimit, batchLimit: batchLimit, weight: weight) { [performer] in
            try await performer.perform($0)
        }
    }

    /// What has returned, in that order.
    private struct Returns: Sendable {
        let stream: AsyncStream<Return>

        func next() async -> Return? {
            for await back in stream { return back }
            return nil
        }
    }

    // Submits 0, and while that is under way so many more, one of which there is no room for: once that one is refused,
    // all the others wait.
    private func withWaiting(
        _ count: Int,
        at commit: GroupCommit<Int, String>,
        _ body: (Performer.Batch, Returns) async throws -> Void
    ) async throws {
        let (returns, back) = AsyncStream.makeStream(of: Return.self)
        @Sendable func submit(_ item: Int) async {
            do {
                back.yield(Return(item: item, result: .success(try await commit.submit(item))))
            } catch {
                back.yield(Return(item: item, result: .failure(error)))
            }
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await submit(0) }
            let first = try #require(await performer.next())
            #expect(first.items == [0])
            for item in 1...count { group.addTask { await submit(item) } }
            let refused = try #require(await Returns(stream: returns).next())
            #expect(refused.error is GroupCommitFull)
            try await body(first, Returns(stream: returns))
        }
    }

    @Test
    func `a lone call is a batch`() async throws {
        let commit = makeCommit(waitingLimit: 10, batchLimit: 10)
        for item in 1...3 {
            async let output = commit.submit(item)
            let batch = try #require(await performer.next())
            #expect(batch.items == [item])
            batch.succeed()
            #expect(try await output == "done \(item)")
        }
    }

    @Test
    func `what comes while a batch is under way goes in few batches, and each caller gets its own output`() async throws
    {
        let commit = makeCommit(waitingLimit: 25, batchLimit: 10)
        try await withWaiting(26, at: commit) { first, returns in
            first.succeed()
            var sizes: [Int] = []
            while sizes.reduce(0, +) < 25 {
                let batch = try #require(await performer.next())
                sizes.append(batch.items.count)
                batch.succeed()
            }
            #expect(sizes == [10, 10, 5])
            for _ in 0...25 {
                let back = try #require(await returns.next())
                #expect(back.output == "done \(back.item)")
            }
        }
    }

    @Test
    func `an error reaches every caller of its batch, and no other`() async throws {
        let commit = makeCommit(waitingLimit: 12, batchLimit: 4)
        try await withWaiting(13, at: commit) { first, returns in
            first.succeed()
            var failed: Set<Int> = []
            for place in 1...3 {
                let batch = try #require(await performer.next())
                #expect(batch.items.count == 4)
                if place == 2 {
                    failed = Set(batch.items)
                    batch.fail()
                } else {
                    batch.succeed()
                }
            }
            for _ in 0...12 {
                let back = try #require(await returns.next())
                #expect((back.error is Failure) == failed.contains(back.item))
            }
            #expect(failed.count == 4)
        }
    }

    @Test(arguments: [
        (weight: 4, batchLimit: 10, waiting: 6, sizes: [2, 2, 2]),
        (weight: 5, batchLimit: 10, waiting: 5, sizes: [2, 2, 1]),
        (weight: 6, batchLimit: 10, waiting: 3, sizes: [1, 1, 1]),
        (weight: 50, batchLimit: 10, waiting: 2, sizes: [1, 1]),
    ])
    func `a batch weighs no more than the limit, unless one item alone does`(
        weight: Int,
        batchLimit: Int,
        waiting: Int,
        sizes: [Int]
    ) async throws {
        let commit = makeCommit(waitingLimit: weight * waiting, batchLimit: batchLimit) { _ in weight }
        try await withWaiting(waiting + 1, at: commit) { first, returns in
            first.succeed()
            for size in sizes {
                let batch = try #require(await performer.next())
                #expect(batch.items.count == size)
                batch.succeed()
            }
            for _ in 0...waiting { #expect(await returns.next()?.output != nil) }
        }
    }

    @Test
    func `there is room again once a batch has been taken`() async throws {
        let commit = makeCommit(waitingLimit: 2, batchLimit: 10)
        try await withWaiting(3, at: commit) { first, returns in
            await #expect(throws: GroupCommitFull.self) { try await commit.submit(100) }
            first.succeed()
            let second = try #require(await performer.next())
            #expect(second.items.count == 2)
            async let output = commit.submit(101)
            second.succeed()
            let third = try #require(await performer.next())
            #expect(third.items == [101])
            third.succeed()
            #expect(try await output == "done 101")
            for _ in 0...2 { #expect(await returns.next()?.output != nil) }
        }
    }

    @Test
    func `a caller that is cancelled does not cancel the batch`() async throws {
        let commit = makeCommit(waitingLimit: 10, batchLimit: 10)
        // Cancelled before it begins to wait, too: its item is stored all the same.
        let call = Task { try await commit.submit(1) }
        call.cancel()
        let batch = try #require(await performer.next())
        #expect(!batch.isCancelled)
        batch.succeed()
        #expect(try await call.value == "done 1")
    }
}
