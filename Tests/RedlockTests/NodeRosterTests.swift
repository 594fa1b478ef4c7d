import Testing

@testable import Redlock

struct NodeRosterTests {
    private final class Node {}

    @Test func `the first of two that are one server is taken, under whatever names, until it is another one`() {
        let roster = NodeRoster()
        let (one, other) = (Node(), Node())
        #expect(roster.enter(ObjectIdentifier(one), "r1", run: "a") == nil)
        #expect(roster.enter(ObjectIdentifier(other), "r1", run: "a") == "r1")
        #expect(roster.enter(ObjectIdentifier(one), "r1", run: "a") == nil)
        #expect(roster.enter(ObjectIdentifier(other), "r2", run: "b") == nil)
        // Both are there again after a restart of the one server that they are.
        #expect(roster.enter(ObjectIdentifier(other), "r2", run: "c") == nil)
        #expect(roster.enter(ObjectIdentifier(one), "r1", run: "c") == "r2")
    }
}
