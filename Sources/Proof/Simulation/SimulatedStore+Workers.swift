import FaultChecking
import Holdfast
import PlantedBugs
import Redlock
import Worker

/// What the database does with workers: their beats, and the lines of those that are dead.
extension SimulatedStore {
    /// How much of a worker's patience a clock that runs fast may take.
    private static let patience = BeatWatch.patience.microseconds * 990

    /// Moves a worker's beat on.
    ///
    /// - Returns: The beats of the others, and whether there are lines of workers without a row.
    func heartbeat(_ worker: WorkerID) -> (beats: [WorkerID: Int64], hasOrphans: Bool) {
        let (now, clock) = (world.schedule.now, world.database.clock)
        lastBeat += 1
        workers[worker] = WorkerRow(beat: lastBeat, beatAt: now, shownAt: clock)
        let beats = workers.filter { $0.key != worker }.mapValues(\.beat)
        return (beats, !orphans.isEmpty)
    }

    /// Takes workers off the list whose beats have not moved on.
    func bury(_ dead: [WorkerID: Int64]) {
        for (worker, beat) in dead.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            guard let row = workers[worker], row.beat == beat else { continue }
            world.note("worker \(worker) is dead: its beat is \(beat)")
            world.reached("buried")
            workers[worker] = nil
            checkDeath(of: worker, row)
        }
    }

    /// Puts lines of dead workers back.
    func rescue() {
        for key in orphans {
            guard let line = lines[key], let worker = line.worker else { continue }
            world.note("the line of \(key) is put back; worker \(worker) held it under \(line.fence)")
            world.reached("rescued")
            if let row = workers[worker] { checkDeath(of: worker, row) }
            count(attemptOn: key)
            free(key)
        }
    }

    private var orphans: [LockKey] {
        let clock = world.database.clock
        return lines.filter { _, line in
            guard let worker = line.worker else { return false }
            guard let row = workers[worker] else { return true }
            return PlantedBug.rescueByClock.isPlanted && row.shownAt <= clock - 5000 * Weather.millisecond
        }.keys.sorted()
    }

    /// Nobody is given up who had a beat a short while ago, or had no time for one since the database is back.
    private func checkDeath(of worker: WorkerID, _ row: WorkerRow) {
        let now = world.schedule.now
        if now - row.beatAt < Self.patience {
            world.judge.found(
                .livesOn,
                "worker \(worker) was given up \((now - row.beatAt) / 1_000_000) ms after a beat"
            )
        }
        // One that was shorter may lie within a gap that a watch bears: after an answer that took its time.
        let gap = BeatWatch.longestGap.microseconds * 1010 + Workers.heartbeatLimit
        if let end = world.database.endOfOutage(longerThan: gap, after: row.beatAt), now - end < Self.patience {
            world.judge.found(
                .livesOn,
                "worker \(worker) was given up \((now - end) / 1_000_000) ms after the database came back"
            )
        }
    }
}
