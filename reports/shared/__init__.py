"""What several formats share: words, selection and order, areas and lanes, sheets, style."""
