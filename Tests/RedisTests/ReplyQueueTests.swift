import Redis
import Testing

struct ReplyQueueTests {
    @Test
    func `replies go to those who wait, in order`() {
        var queue = ReplyQueue<String>()
        _ = queue.append("a")
        _ = queue.append("b")
        #expect(queue.receive(1) == "a: 1")
        #expect(queue.receive(2) == "b: 2")
        #expect(queue.owed == 0)
    }

    @Test
    func `a batch is resumed once, with all its replies in order`() {
        var queue = ReplyQueue<String>()
        _ = queue.append("batch", batchOf: 3)
        _ = queue.append("next")
        #expect(queue.owed == 4)
        #expect([queue.receive(1), queue.receive(2), queue.receive(3)] == ["wait", "wait", "batch: 1 2 3"])
        #expect(queue.receive(4) == "next: 4")
    }

    @Test
    func `a late reply goes to nobody, and the next command gets its own`() {
        var queue = ReplyQueue<String>()
        let late = queue.append("late")
        _ = queue.append("next")
        #expect(queue.abandon(late) == "late")
        #expect(queue.abandon(late) == nil)
        #expect(queue.receive(1) == "drop")
        #expect(queue.receive(2) == "next: 2")
    }

    @Test(arguments: 0...3)
    func `a batch that is given up after some replies takes the rest with it`(replies: Int) {
        var queue = ReplyQueue<String>()
        _ = queue.append("first")
        let ticket = queue.append("batch", batchOf: 3)
        _ = queue.append("next")
        #expect(queue.receive(0) == "first: 0")
        for reply in 0..<replies { _ = queue.receive(reply) }
        #expect(queue.abandon(ticket) == (replies < 3 ? "batch" : nil))
        for reply in replies..<3 { #expect(queue.receive(reply) == "drop") }
        #expect(queue.receive(3) == "next: 3")
    }

    @Test
    func `a ticket names its place after others have left the queue`() {
        var queue = ReplyQueue<String>()
        let tickets = (0..<10).map { queue.append("\($0)") }
        for index in 0..<5 { _ = queue.receive(index) }
        #expect(queue.abandon(tickets[2]) == nil)
        #expect(queue.abandon(tickets[7]) == "7")
        #expect(queue.removeAll() == ["5", "6", "8", "9"])
        let later = queue.append("later")
        #expect(queue.abandon(tickets[9]) == nil)
        #expect(queue.abandon(later) == "later")
    }

    @Test
    func `those whose time is up are given up together`() {
        var queue = ReplyQueue<Int>()
        for deadline in [3, 1, 4, 1, 5] { _ = queue.append(deadline) }
        #expect(queue.abandon { $0 < 4 } == [3, 1, 1])
        #expect(queue.abandon { $0 < 4 } == [])
        #expect(queue.count == 5)
        #expect(queue.owed == 5)
    }

    @Test
    func `a reply to no command closes the connection`() {
        var queue = ReplyQueue<String>()
        #expect(queue.receive(1) == "close")
        _ = queue.append("a", batchOf: 2)
        _ = queue.receive(1)
        _ = queue.receive(2)
        #expect(queue.receive(3) == "close")
    }
}

extension ReplyQueue<String> {
    /// Receives a number, and tells the action in a few words.
    fileprivate mutating func receive(_ number: Int) -> String {
        switch received(.integer(Int64(number))) {
        case .resume(let waiter, let reply): "\(waiter): \(reply.int ?? -1)"
        case .resumeBatch(let waiter, let replies):
            "\(waiter): \(replies.map { "\($0.int ?? -1)" }.joined(separator: " "))"
        case .wait: "wait"
        case .drop: "drop"
        case .close: "close"
        }
    }
}
