#if DEBUG
    public import ArgumentParser
    import PlantedBugs

    extension PlantedBug: ExpressibleByArgument {}

    /// How a planted bug is looked for: with one seed after the other, until a run fails.
    struct Hunt: Sendable {
        /// Of `holdfast-faults`; the seed and the bug are added.
        let arguments: [String]
        /// The most seeds that it may take.
        let seedLimit: Int
        /// How many of them one process tries.
        let seedsAtOnce: Int

        var isSimulation: Bool { arguments[0] == "simulate" }

        /// A run of the whole system under some faults.
        static func run(_ faults: [FaultKind], seedLimit: Int) -> Hunt {
            let faults = faults.isEmpty ? "none" : faults.map(\.rawValue).joined(separator: ",")
            return Hunt(
                arguments: ["run", "--minutes", "0.5", "--patience", "30", "--faults", faults],
                seedLimit: seedLimit,
                seedsAtOnce: 1
            )
        }

        /// Simulations.
        static func simulate(seedLimit: Int) -> Hunt {
            Hunt(arguments: ["simulate", "--runs", "\(seedLimit)"], seedLimit: seedLimit, seedsAtOnce: seedLimit)
        }
    }

    extension PlantedBug {
        /// Where it is looked for, and under which faults: those that it takes for it to do harm.
        var hunts: [Hunt] {
            switch self {
            case .noDrift: [.simulate(seedLimit: 20_000)]
            case .quorumOfHalf, .noValidityCheck, .wallClock, .extendWithoutToken, .noQuarantine:
                [.simulate(seedLimit: 1000)]
            case .releaseWithoutToken:
                [.simulate(seedLimit: 1000), .run([.freezeWorker], seedLimit: 10)]
            case .noCancellation:
                [.simulate(seedLimit: 1000), .run([.freezeWorker, .cutLink, .holdLink], seedLimit: 10)]
            case .writeWithoutFence:
                [.simulate(seedLimit: 1000), .run([.freezeWorker], seedLimit: 10)]
            case .settleWithoutFence:
                [.simulate(seedLimit: 1000), .run([.freezeWorker], seedLimit: 10)]
            case .acquiredAfterwards:
                [.simulate(seedLimit: 1000), .run([.killWorker], seedLimit: 5)]
            case .lostWakeup:
                [.simulate(seedLimit: 100), .run([], seedLimit: 1)]
            case .enqueueWithoutLock, .freeingWithWeakLock: [.run([], seedLimit: 10)]
            case .turnDrawnTwice, .claimsOutOfOrder, .rescueAtFirstSight, .limitFromAcquisition:
                [.simulate(seedLimit: 1000)]
            case .sharedHoldUnrecorded, .endlessSlice: [.simulate(seedLimit: 1000), .run([], seedLimit: 3)]
            case .rescueByClock: [.simulate(seedLimit: 1000), .run([.postgresOutage], seedLimit: 5)]
            case .outageCounted: [.simulate(seedLimit: 1000), .run([.killValueNode], seedLimit: 5)]
            case .errorIsVote: [.run([.nodeErrors], seedLimit: 5)]
            case .replyBeforeCommit: [.run([.crashPostgres], seedLimit: 5)]
            }
        }
    }
#endif
