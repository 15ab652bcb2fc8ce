"""The article's method, measured: a job, the steps that speed it up one by one, and what they say together.

article.py   the article's own figures        trial.py     one step in a process of its own: a row
job.py       pictures to tag, and how         ladder.py    all steps, each judged beside the others
script.py    what the article's steps share   verdict.py   what to run here, and whether tags were changed
steps.py     the steps, as data               tables.py    the rows as tables for people
limits.py    what no loop can exceed
"""
