import Testing

@testable import Holdfast

@Suite(.timeLimit(.minutes(1)))
struct InFlightBytesTests {
    @Test func `what has no room waits for it, in order, and a value larger than all goes alone`() async throws {
        let bytes = InFlightBytes(limit: 10)
        #expect(bytes.take(100))
        #expect(!bytes.take(1))
        try await withThrowingTaskGroup(of: Int.self) { group in
            let order = AsyncStream.makeStream(of: Int.self)
            for number in 1...3 {
                group.addTask {
                    try await bytes.wait(for: 6)
                    order.continuation.yield(number)
                    return number
                }
            }
            for _ in 1...3 {
                bytes.leave(bytes.used)
                var next = order.stream.makeAsyncIterator()
                _ = await next.next()
            }
            try await group.waitForAll()
        }
        #expect(bytes.used == 6)
    }

    @Test func `who is cancelled takes nothing`() async throws {
        let bytes = InFlightBytes(limit: 10)
        #expect(bytes.take(10))
        let waiting = Task { try await bytes.wait(for: 5) }
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
        bytes.leave(10)
        #expect(bytes.take(10) && bytes.used == 10)
    }
}
