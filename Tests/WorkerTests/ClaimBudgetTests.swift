import Testing

@testable import Worker

@Suite
struct ClaimBudgetTests {
    private static var configuration: WorkerConfiguration {
        var configuration = WorkerConfiguration()
        configuration.slots = 1000
        return configuration
    }

    private var budget = ClaimBudget(Self.configuration)

    /// Claims that bring as much as they may, of lines that have so many jobs each; none of it ends.
    private mutating func claim(_ lines: Int, of jobs: Int, times: Int = 12) -> ClaimBudget.Share? {
        var share: ClaimBudget.Share?
        for _ in 0..<times {
            share = budget.next(free: 1000, running: 0, jobs: 0, limit: 500)
            guard let share else { return nil }
            let count = min(lines, share.lines)
            budget.claimed(lines: count, jobs: count * min(jobs, share.runLimit), of: share)
        }
        return share
    }

    @Test
    mutating func `lines with one job each take as many slots as a claim may`() throws {
        #expect(try #require(claim(10_000, of: 1)).lines == 500)
    }

    @Test
    mutating func `lines with many jobs each are as many as their jobs fill the slots, twice`() throws {
        let share = try #require(claim(1000, of: 1000))
        #expect(share.lines * share.runLimit <= 4 * 1000)
        #expect((32...100).contains(share.lines), "\(share)")
        #expect(share.runDuration == .milliseconds(100))
    }

    @Test
    mutating func `one line with many jobs has a long run`() throws {
        let share = try #require(claim(1, of: 1000))
        #expect(share.runLimit > 500)
        #expect(share.runDuration == .seconds(1))
    }

    @Test
    mutating func `should all lines have many jobs at once, a claim has not too many`() throws {
        var most = 0
        for lines in [1, 1000, 1, 1000] {
            for _ in 0..<12 {
                let share = try #require(budget.next(free: 1000, running: 0, jobs: 0, limit: 500))
                most = max(most, share.lines * share.runLimit)
                budget.claimed(lines: min(lines, share.lines), jobs: min(lines, share.lines), of: share)
            }
        }
        #expect(most <= 16 * 2 * 1000)
    }

    @Test
    mutating func `jobs at hand keep lines from being claimed, but for the first of them`() throws {
        _ = claim(1000, of: 1000)
        #expect(budget.next(free: 960, running: 40, jobs: 2000, limit: 500) == nil)
        #expect(budget.next(free: 990, running: 10, jobs: 2000, limit: 500)?.lines == 22)
        #expect(budget.next(free: 0, running: 1000, jobs: 0, limit: 500) == nil)
    }

    @Test(arguments: [1, 2, 31, 1000, 100_000])
    func `a worker with any number of slots claims when it is idle`(slots: Int) throws {
        var configuration = Self.configuration
        configuration.slots = slots
        let share = try #require(ClaimBudget(configuration).next(free: slots, running: 0, jobs: 0, limit: 500))
        #expect(share.lines >= 1 && share.runLimit >= 8)
    }
}
