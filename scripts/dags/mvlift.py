"""What Airflow finds in its folder of DAGs; the DAG itself is in `pipeline/airflow.py`."""

from pipeline import airflow

dag = airflow.make_dag()
