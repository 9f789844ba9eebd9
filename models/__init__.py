"""Python side of detail-guidance: trains, measures, exports and checks the embedded model."""
