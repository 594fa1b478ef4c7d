package import Holdfast
import PlantedBugs

/// Which of the other workers are dead, as one worker can tell from their beats.
///
/// No clock is compared with another: a beat is new or it is not, and how long it has stood still is measured here, on the
/// watching worker's monotonic clock, and only while its own heartbeats went through. So neither an outage of the database
/// nor a step of its clock nor a pause of this process makes anybody look dead who comes back within seconds.
package struct BeatWatch {
    /// A worker whose beat has stood still for so long is dead.
    package static let patience: Duration = .seconds(5)
    /// Between two heartbeats of its own a watching worker knows nothing: after a longer gap it begins anew.
    package static let longestGap: Duration = .seconds(3)

    private struct Sighting {
        let beat: Int64
        let since: ContinuousClock.Instant
    }

    private var sightings: [WorkerID: Sighting] = [:]
    private var lastEnd: ContinuousClock.Instant?

    package init() {}

    /// Takes in the beats of the others, as a heartbeat of this worker showed them.
    ///
    /// - Parameters:
    ///   - beats: Of all workers that are on the list, but this one.
    ///   - start: When the heartbeat was sent.
    ///   - end: When it was answered.
    /// - Returns: The beats of those that are dead.
    package mutating func saw(
        _ beats: [WorkerID: Int64],
        from start: ContinuousClock.Instant,
        to end: ContinuousClock.Instant
    ) -> [WorkerID: Int64] {
        let hasWatched = lastEnd.map { $0.duration(to: end) <= Self.longestGap } ?? false
        lastEnd = end
        var dead: [WorkerID: Int64] = [:]
        var now: [WorkerID: Sighting] = [:]
        for (worker, beat) in beats {
            guard hasWatched, let sighting = sightings[worker], sighting.beat == beat else {
                now[worker] = Sighting(beat: beat, since: end)
                continue
            }
            now[worker] = sighting
            let patience = PlantedBug.rescueAtFirstSight.isPlanted ? .zero : Self.patience
            if sighting.since.duration(to: start) >= patience { dead[worker] = beat }
        }
        sightings = now
        return dead
    }
}
