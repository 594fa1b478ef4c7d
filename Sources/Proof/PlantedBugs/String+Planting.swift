extension String {
    /// A script or a statement, in which `bug` replaces some text when it is planted.
    #if DEBUG
        package func planting(_ bug: PlantedBug, _ right: String, _ wrong: String) -> String {
            precondition(contains(right), "\(bug): there is no \(right)")
            return bug.isPlanted ? replacing(right, with: wrong) : self
        }
    #else
        @inlinable package func planting(_ bug: PlantedBug, _ right: String, _ wrong: String) -> String { self }
    #endif
}
