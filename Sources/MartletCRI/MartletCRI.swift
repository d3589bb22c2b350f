// The room MartletCRI; its parts come with their builders.
