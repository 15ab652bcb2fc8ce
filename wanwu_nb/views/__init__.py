"""Results for people to look at: pictures with boxes, charts, tables with headings in two languages."""
