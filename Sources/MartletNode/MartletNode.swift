// The room MartletNode; its parts come with their builders.
