import Randomness

/// How bad a day one simulation has: drawn by its seed, so that some are calm and some are not.
struct Weather {
    static let millisecond: Int64 = 1_000_000

    /// How long a message takes.
    let latency: ClosedRange<Int64>
    /// In thousandths: messages that are lost, that come twice, and that take up to ``slowest``.
    let lost: Int
    let doubled: Int
    let slow: Int
    let slowest: Int64
    /// In thousandths, how often a process is frozen in the middle of something, and for how long at most.
    let stalls: (perMille: Int, longest: Int64)
    /// How many of each there are.
    let freezes: Int
    let crashes: Int
    let nodeFreezes: Int
    let nodeRestarts: Int
    let cuts: Int
    let wallClockSteps: Int
    /// Whether clocks of lock nodes step forward: locks end early then, and the fence is all that guards.
    let nodeClocksStep: Bool
    /// How often the database is frozen or away, for how long at most, and how often its clock steps.
    let databaseFreezes: Int
    let databaseOutages: Int
    let longestOutage: Int64
    let databaseSteps: Int
    /// How many processes are frozen for longer than it takes to give a worker up.
    let longFreezes: Int
    /// Whether every message arrives that is not cut off, and soon.
    var isCalm: Bool { lost == 0 && slow == 0 }

    init(_ random: inout SeededRandom) {
        func upTo(_ most: Int) -> Int { Int.random(in: 0...most, using: &random) }
        let fastest = Int64.random(in: 10_000...1_000_000, using: &random)
        latency = fastest...fastest * Int64.random(in: 2...10, using: &random)
        let isRough = upTo(2) == 0
        lost = isRough ? upTo(100) : 0
        doubled = isRough ? upTo(50) : 0
        slow = upTo(3) == 0 ? upTo(60) : 0
        slowest = Int64.random(in: 50...2500, using: &random) * Self.millisecond
        stalls = (upTo(3) == 0 ? upTo(20) : 0, Int64.random(in: 10...2500, using: &random) * Self.millisecond)
        freezes = upTo(3)
        crashes = upTo(2)
        nodeFreezes = upTo(2)
        nodeRestarts = upTo(3)
        cuts = upTo(4)
        wallClockSteps = upTo(2)
        nodeClocksStep = upTo(9) == 0
        // Drawn last, from numbers of their own: simulations of the lock alone, which know none of these faults, stay as
        // they were.
        var more = random
        more = more.split()
        databaseFreezes = Int.random(in: 0...2, using: &more)
        databaseOutages = Int.random(in: 0...1, using: &more)
        // Some are longer than it takes to give a worker up.
        longestOutage = (Bool.random(using: &more) ? 2500 : 20_000) * Self.millisecond
        databaseSteps = Int.random(in: 0...2, using: &more)
        longFreezes = Int.random(in: 0...1, using: &more)
    }
}
