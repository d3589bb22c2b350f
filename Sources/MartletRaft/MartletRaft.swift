// The room MartletRaft; its parts come with their builders.
